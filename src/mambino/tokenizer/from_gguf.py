"""GGUF's tokenizer.ggml.* keys to a BpeSpec.

Knows the keys, not the file: metadata is any mapping, its long arrays sequences. Start at spec_from_gguf.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from operator import contains
from typing import Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError, Unsupported
from mambino.tokenizer.pre_tokenizers import pre_tokenizer_named
from mambino.tokenizer.spec import AddedToken, BpeOptions, BpeSpec

UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4  # ggml's token types that are found before the pre-tokenizer runs

_TOKENS, _MERGES, _TYPES = (f"tokenizer.ggml.{name}" for name in ("tokens", "merges", "token_type"))


@runtime_checkable
class RawStrings(Protocol):
    """A lazy array of strings that can show the bytes it will be decoded from."""

    @property
    def raw(self) -> NDArray[np.uint8]: ...


def require_byte_level_bpe(metadata: Mapping[str, object]) -> str:
    """The name of the pre-tokenizer. Raises Unsupported for other kinds, FormatError if there is no tokenizer."""
    kind = metadata.get("tokenizer.ggml.model")
    if kind in (None, "none"):
        raise FormatError(
            "[gguf] this file carries no tokenizer (tokenizer.ggml.model is missing or 'none'); export it again with "
            "one, or use token ids through mambino.open_model"
        )
    if kind != "gpt2":
        known = {"llama": "SentencePiece", "bert": "WordPiece", "t5": "Unigram", "rwkv": "RWKV"}
        raise Unsupported(
            f"[gguf] tokenizer.ggml.model {kind!r} ({known.get(str(kind), 'unknown')}): only 'gpt2' (byte-level BPE) "
            "is supported"
        )
    pre = metadata.get("tokenizer.ggml.pre", "default")
    pre_tokenizer_named(str(pre))
    return str(pre)


def gguf_key_parts(metadata: Mapping[str, object]) -> Iterator[bytes | memoryview]:
    """The bytes that decide the spec, for hashing; long arrays are not decoded."""
    yield require_byte_level_bpe(metadata).encode()
    for key in (_TOKENS, _MERGES, _TYPES):
        value = metadata.get(key)
        if isinstance(value, RawStrings):
            yield np.ascontiguousarray(value.raw).data
        elif isinstance(value, np.ndarray):
            yield value.dtype.str.encode()
            yield np.ascontiguousarray(value).view(np.uint8).data
        else:
            yield repr(value).encode(errors="backslashreplace")


def spec_from_gguf(metadata: Mapping[str, object]) -> BpeSpec:
    """The tokenizer that metadata describes, split as the model's own tokenizer.json does (pre_tokenizers.py).

    Raises     Unsupported for other kinds of tokenizer; FormatError for arrays that are missing or do not fit
    """
    row = pre_tokenizer_named(require_byte_level_bpe(metadata))
    tokens = _strings(metadata, _TOKENS)
    return BpeSpec(
        tokens=tokens,
        ids=list(range(len(tokens))),
        merges=_split_merges(_strings(metadata, _MERGES)),
        added=tuple(_added_tokens(tokens, _token_types(metadata, len(tokens)))),
        normalizer=row.normalizer,
        pre_tokenizer=row.pre_tokenizer,
        options=BpeOptions(ignore_merges=row.ignore_merges),
    )


def _strings(metadata: Mapping[str, object], key: str) -> list[str]:
    value = metadata.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise FormatError(f"[gguf] {key}: expected an array of strings, got {type(value).__name__}")
    strings = list(value)
    if strings and not isinstance(strings[0], str):
        raise FormatError(f"[gguf] {key}: expected strings, got {type(strings[0]).__name__}")
    return cast(list[str], strings)


def _split_merges(merges: list[str]) -> list[tuple[str, str]]:
    flat = " ".join(merges).split(" ") if merges else []
    if len(flat) != 2 * len(merges) or not all(map(contains, merges, repeat(" "))):
        index = next(index for index, merge in enumerate(merges) if merge.count(" ") != 1)
        raise FormatError(f"[gguf] {_MERGES}[{index}]: expected two tokens and a space, got {merges[index]!r}")
    return list(zip(flat[0::2], flat[1::2], strict=True))


def _token_types(metadata: Mapping[str, object], num_tokens: int) -> NDArray[np.int64]:
    value = metadata.get(_TYPES)
    if value is None:
        raise FormatError(f"[gguf] {_TYPES}: missing, so control tokens are not known; export the file again")
    types = np.asarray(value)
    if types.shape != (num_tokens,) or not np.issubdtype(types.dtype, np.integer):
        raise FormatError(f"[gguf] {_TYPES}: expected {num_tokens} integers, got {types.dtype} of shape {types.shape}")
    return types.astype(np.int64)


def _added_tokens(tokens: list[str], types: NDArray[np.int64]) -> Iterator[AddedToken]:
    for index in np.flatnonzero(np.isin(types, (UNKNOWN, CONTROL, USER_DEFINED))).tolist():
        if tokens[index]:
            yield AddedToken(text=tokens[index], id=index, special=bool(types[index] != USER_DEFINED))
