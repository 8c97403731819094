"""A byte-level BPE tokenizer as a value, and the `tokenizers` objects made of it.

Knows nothing of files: files.py reads specs from tokenizer.json and GGUF, cache.py keeps them. Start at BpeSpec.
"""

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import groupby

import tokenizers
from tokenizers import models

from mambino.errors import FormatError, Unsupported

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedToken:
    """A token that is found in text before the pre-tokenizer runs; the flags are tokenizer.json's."""

    text: str
    id: int
    special: bool
    normalized: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False

    @property
    def is_control(self) -> bool:
        """Whether text may only mean this token when the caller asks for it (parse_special).

        Every special token, and every one that looks like markup: several model families mark <think> or
        <tool_call> as ordinary added tokens, and a user's text must not be able to close a turn or open a call.
        """
        return self.special or (self.text[:1] + self.text[-1:]) in ("<>", "[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class BpeOptions:
    """The switches of the BPE model, as tokenizer.json names them."""

    ignore_merges: bool = False
    unk_token: str | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None
    fuse_unk: bool = False
    byte_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BpeSpec:
    """Everything that decides ids.

    tokens and ids belong together, in any order. merges are pairs of tokens, best first. normalizer and pre_tokenizer
    are the objects of tokenizer.json; leading_token is the text of the token that its post-processor puts first.
    """

    tokens: list[str]
    ids: list[int]
    merges: list[tuple[str, str]]
    added: tuple[AddedToken, ...]
    normalizer: Json | None
    pre_tokenizer: Json | None
    options: BpeOptions = field(default_factory=BpeOptions)
    leading_token: str | None = None


def added_id(spec: BpeSpec, text: str | None) -> int | None:
    """The id of the added token spelled text; None if there is none."""
    return next((token.id for token in spec.added if token.text == text), None)


@contextmanager
def paused_collector() -> Iterator[None]:
    """No garbage collection inside: half a million new tuples make it look for cycles that are not there."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def build_model(spec: BpeSpec) -> models.BPE:
    """The BPE model; most of the time that opening a tokenizer takes is spent here.

    Raises     FormatError for a token listed twice, or a merge whose parts or result are not tokens
    """
    vocabulary = dict(zip(spec.tokens, spec.ids, strict=True))
    if len(vocabulary) != len(spec.tokens):
        raise FormatError("[tokenizer] the vocabulary lists a token twice; the file is damaged, fetch it again")
    chosen = {name: value for name, value in asdict(spec.options).items() if value is not None}
    try:
        return models.BPE(vocab=vocabulary, merges=spec.merges, **chosen)
    except Exception as error:  # the library raises nothing more exact; its message names the token
        raise FormatError(f"[tokenizer] merges and vocabulary do not fit: {error}; fetch the file again") from error


def build_encoder(spec: BpeSpec, model: models.BPE, *, with_control: bool) -> tokenizers.Tokenizer:
    """An encoder over model (shared, not copied) that knows all added tokens, or only those that are plain text."""
    empty_model = {"type": "BPE", "vocab": {}, "merges": []}
    skeleton: Json = {"version": "1.0", "added_tokens": [], "model": empty_model, "decoder": None}
    skeleton |= {"normalizer": spec.normalizer, "pre_tokenizer": spec.pre_tokenizer}
    skeleton |= {"truncation": None, "padding": None, "post_processor": None}
    try:
        encoder = tokenizers.Tokenizer.from_str(json.dumps(skeleton))
    except Exception as error:  # the library raises nothing more exact for a component it does not know
        raise Unsupported(
            f"[tokenizer] the tokenizers library ({tokenizers.__version__}) refuses the normalizer "
            f"or pre-tokenizer: {error}; a newer version of it may know them"
        ) from error
    encoder.model = model
    chosen = sorted((token for token in spec.added if with_control or not token.is_control), key=lambda token: token.id)
    for special, run in groupby(chosen, key=lambda token: token.special):
        register = encoder.add_special_tokens if special else encoder.add_tokens
        register([_handle(token) for token in run])  # one call a run: every call rebuilds the search automaton
    for token in chosen:
        found = encoder.token_to_id(token.text)
        if with_control and found != token.id:
            raise FormatError(
                f"[tokenizer] added token {token.text!r}: expected id {token.id}, the vocabulary gives {found}; "
                "the tokenizer files do not belong together"
            )
    return encoder


def _handle(token: AddedToken) -> tokenizers.AddedToken:
    return tokenizers.AddedToken(
        token.text,
        special=token.special,
        normalized=token.normalized,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
    )
