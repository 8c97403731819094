"""Open a tokenizer: from a Hugging Face directory, or from the metadata of a GGUF file.

Knows which file says what (ids of begin and end, chat template); the parsing is in from_json.py and from_gguf.py.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from mambino.errors import FormatError
from mambino.tokenizer.cache import cached_spec, content_key
from mambino.tokenizer.from_gguf import gguf_key_parts, spec_from_gguf
from mambino.tokenizer.from_json import spec_from_json
from mambino.tokenizer.spec import BpeSpec, added_id, paused_collector
from mambino.tokenizer.tokenizer import Tokenizer

# Control tokens that end a turn or a text in every vocabulary that has them. Files often name only one of a model's
# several ends, and a missed one means a model that talks on alone.
END_TEXTS = ("</s>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|end|>")

Json = Mapping[str, object]


def tokenizer_from_directory(path: Path | str, cache_dir: Path | None = None) -> Tokenizer:
    """The tokenizer of a Hugging Face directory: tokenizer.json, and what stands beside it.

    Raises     FormatError for a missing or damaged file; Unsupported for a tokenizer that is not byte-level BPE
    """
    directory = Path(path)
    content = _read_bytes(directory / "tokenizer.json")
    key = content_key([b"json", content])
    with paused_collector():
        spec = cached_spec(cache_dir, key, lambda: spec_from_json(_parse(content, directory / "tokenizer.json")))
    settings = _read_json(directory / "tokenizer_config.json")
    names = _read_json(directory / "special_tokens_map.json") | settings
    generation = _read_json(directory / "config.json") | _read_json(directory / "generation_config.json")
    bos, end = (added_id(spec, _token_text(names.get(name))) for name in ("bos_token", "eos_token"))
    if bos is None:
        bos = next(iter(_id_list(generation.get("bos_token_id"))), added_id(spec, spec.leading_token))
    wants_bos = settings.get("add_bos_token")
    return Tokenizer(
        spec,
        bos_token_id=bos,
        eos_token_ids=[*_id_list(generation.get("eos_token_id")), *([] if end is None else [end]), *_end_ids(spec)],
        wants_bos=wants_bos if isinstance(wants_bos, bool) else spec.leading_token is not None,
        chat_template=_directory_template(directory, settings),
    )


def tokenizer_from_gguf(metadata: Json, cache_dir: Path | None = None) -> Tokenizer:
    """The tokenizer that a GGUF file carries.

    Raises     FormatError if it carries none, or a damaged one; Unsupported if it is not byte-level BPE, or splits
               text in a way that mambino does not know
    """
    key = content_key([b"gguf", *gguf_key_parts(metadata)])
    with paused_collector():
        spec = cached_spec(cache_dir, key, lambda: spec_from_gguf(metadata))
    bos, *ends = (_gguf_id(metadata, name, len(spec.tokens)) for name in ("bos", "eos", "eot", "eom"))
    template = metadata.get("tokenizer.chat_template")
    return Tokenizer(
        spec,
        bos_token_id=bos,
        eos_token_ids=[*(end for end in ends if end is not None), *_end_ids(spec)],
        wants_bos=metadata.get("tokenizer.ggml.add_bos_token") is True,
        chat_template=template if isinstance(template, str) else None,
    )


def _gguf_id(metadata: Json, name: str, num_tokens: int) -> int | None:
    key = f"tokenizer.ggml.{name}_token_id"
    value = metadata.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or not 0 <= value < num_tokens:
        raise FormatError(f"[gguf] {key}: expected an id below {num_tokens}, got {value!r}; export the file again")
    return value


def _end_ids(spec: BpeSpec) -> list[int]:
    return [token.id for token in spec.added if token.special and token.text in END_TEXTS]


def _id_list(value: object) -> list[int]:
    """generation_config.json holds one id, several, or null."""
    values: Iterable[object] = value if isinstance(value, list) else [value]
    return [entry for entry in values if type(entry) is int and entry >= 0]


def _token_text(value: object) -> str | None:
    """tokenizer_config.json names a token by its text, or by an object that holds the text."""
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _directory_template(directory: Path, settings: Json) -> str | None:
    """chat_template.jinja, else the entry of tokenizer_config.json (its "default" where it lists several)."""
    file = directory / "chat_template.jinja"
    if file.is_file():
        try:
            return _read_bytes(file).decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError(f"[tokenizer] {file}: not UTF-8 at byte {error.start}; fetch the file again") from None
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FormatError(f"[tokenizer] {path}: missing; a tokenizer needs this file, fetch the whole model") from None
    except OSError as error:
        raise FormatError(f"[tokenizer] {path}: cannot be read: {error.strerror}") from None


def _read_json(path: Path) -> dict[str, object]:
    """The object in an optional file; nothing if there is no file."""
    root = _parse(_read_bytes(path), path) if path.is_file() else {}
    if not isinstance(root, dict):
        raise FormatError(f"[tokenizer] {path}: expected a JSON object, got {type(root).__name__}")
    return root


def _parse(content: bytes, path: Path) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"[tokenizer] {path}: not JSON: {error}; fetch the file again") from None
