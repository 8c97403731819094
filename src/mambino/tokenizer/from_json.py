"""A tokenizer.json, already parsed, to a BpeSpec; every value is checked before it is believed.

Knows the file format of the `tokenizers` library, not where files lie. Start at spec_from_json.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from mambino.errors import FormatError, Unsupported
from mambino.tokenizer.spec import AddedToken, BpeOptions, BpeSpec, Json

_MAX_ID = 1 << 24  # far above any vocabulary; keeps a damaged id from allocating
_FLAGS = ("special", "normalized", "single_word", "lstrip", "rstrip")


def spec_from_json(root: object) -> BpeSpec:
    """The byte-level BPE tokenizer that root describes.

    Raises     Unsupported for other kinds of tokenizer; FormatError for what is missing, or of the wrong type
    """
    source = _mapping(root, "tokenizer.json")
    model = _mapping(source.get("model"), "model")
    _require_byte_level_bpe(source, model)
    options = _options(model)
    vocabulary = _vocabulary(model)
    tokens = list(vocabulary)
    added = tuple(_added(entry) for entry in _sequence(source.get("added_tokens") or [], "added_tokens"))
    _require_unicode([*tokens, *(token.text for token in added)])
    if options.unk_token is not None and options.unk_token not in vocabulary:
        raise FormatError(f"[tokenizer] model.unk_token {options.unk_token!r} is not in the vocabulary")
    return BpeSpec(
        tokens=tokens,
        ids=list(vocabulary.values()),
        merges=_merges(model),
        added=added,
        normalizer=_component(source, "normalizer"),
        pre_tokenizer=_component(source, "pre_tokenizer"),
        options=options,
        leading_token=_leading_token(_component(source, "post_processor")),
    )


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise FormatError(f"[tokenizer] {where}: expected an object, got {type(value).__name__}; fetch the file again")
    return value


def _sequence(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise FormatError(f"[tokenizer] {where}: expected a list, got {type(value).__name__}; fetch the file again")
    return value


def _component(source: Mapping[str, object], name: str) -> Json | None:
    value = source.get(name)
    return None if value is None else dict(_mapping(value, name))


def _require_byte_level_bpe(source: Mapping[str, object], model: Mapping[str, object]) -> None:
    kind = model.get("type", "BPE")
    if kind != "BPE":
        raise Unsupported(f"[tokenizer] model type {kind!r}: only byte-level BPE is supported")
    decoder = _component(source, "decoder") or {}
    inner = decoder.get("decoders", [decoder])
    if not any(isinstance(step, dict) and step.get("type") == "ByteLevel" for step in _sequence(inner, "decoder")):
        raise Unsupported(
            f"[tokenizer] decoder {decoder.get('type')!r}: only byte-level BPE is supported (SentencePiece is not)"
        )
    if model.get("dropout"):
        raise Unsupported("[tokenizer] model.dropout: random merges are for training only; set it to null")


def _options(model: Mapping[str, object]) -> BpeOptions:
    def flag(name: str) -> bool:
        value = model.get(name) or False
        if not isinstance(value, bool):
            raise FormatError(f"[tokenizer] model.{name}: expected true or false, got {value!r}")
        return value

    def text(name: str) -> str | None:
        value = model.get(name)
        if value is not None and not isinstance(value, str):
            raise FormatError(f"[tokenizer] model.{name}: expected text or null, got {value!r}")
        return value or None

    return BpeOptions(
        ignore_merges=flag("ignore_merges"),
        unk_token=text("unk_token"),
        continuing_subword_prefix=text("continuing_subword_prefix"),
        end_of_word_suffix=text("end_of_word_suffix"),
        fuse_unk=flag("fuse_unk"),
        byte_fallback=flag("byte_fallback"),
    )


def _vocabulary(model: Mapping[str, object]) -> dict[str, int]:
    vocabulary = _mapping(model.get("vocab"), "model.vocab")
    for token, token_id in vocabulary.items():
        if type(token_id) is not int or not 0 <= token_id < _MAX_ID:
            raise FormatError(f"[tokenizer] model.vocab[{token!r}]: expected an id, got {token_id!r}")
    return cast(dict[str, int], vocabulary)


def _require_unicode(tokens: list[str]) -> None:
    try:
        "".join(tokens).encode("utf-8")
    except UnicodeEncodeError as error:
        raise FormatError(
            f"[tokenizer] a token holds the lone surrogate {error.object[error.start]!r}; fetch the file again"
        ) from None


def _merges(model: Mapping[str, object]) -> list[tuple[str, str]]:
    """Older files write a merge as one string with a space."""
    merges: list[tuple[str, str]] = []
    for merge in _sequence(model.get("merges"), "model.merges"):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise FormatError(f"[tokenizer] model.merges[{len(merges)}]: expected two tokens, got {merge!r}")
        merges.append((parts[0], parts[1]))
    return merges


def _added(value: object) -> AddedToken:
    entry = _mapping(value, "added_tokens entry")
    text, token_id = entry.get("content"), entry.get("id")
    flags = {name: entry.get(name, False) for name in _FLAGS}
    if not isinstance(text, str) or not text or type(token_id) is not int or not 0 <= token_id < _MAX_ID:
        raise FormatError(f"[tokenizer] added_tokens: expected content and id, got {value!r}")
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise FormatError(f"[tokenizer] added token {text!r}: {name} should be true or false, got {flag!r}")
    return AddedToken(text=text, id=token_id, **cast(dict[str, bool], flags))


def _leading_token(post_processor: Json | None) -> str | None:
    """The special token that a TemplateProcessing, alone or in a Sequence, puts before a single text."""
    if post_processor is None:
        return None
    for step in _sequence(post_processor.get("processors", [post_processor]), "post_processor.processors"):
        template = _mapping(step, "post_processor").get("single")
        first = template[0] if isinstance(template, list) and template else None
        special = first.get("SpecialToken") if isinstance(first, dict) else None
        text = special.get("id") if isinstance(special, dict) else None
        if isinstance(text, str):
            return text
    return None
