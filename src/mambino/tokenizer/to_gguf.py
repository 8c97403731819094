"""A tokenizer directory to GGUF's tokenizer.ggml.* keys: the inverse of from_gguf.py, for export.

Knows the keys, not how a GGUF is written. Start at gguf_metadata.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mambino.errors import InputError, Unsupported
from mambino.tokenizer.files import END_TEXTS, tokenizer_from_directory
from mambino.tokenizer.from_gguf import CONTROL, USER_DEFINED
from mambino.tokenizer.from_json import spec_from_json
from mambino.tokenizer.pre_tokenizers import PRE_TOKENIZERS
from mambino.tokenizer.spec import BpeSpec
from mambino.tokenizer.tokenizer import Tokenizer

NORMAL, UNUSED = 1, 5


def gguf_metadata(
    directory: Path | str, vocab_size: int | None = None, *, first_ends: Sequence[int] = ()
) -> dict[str, object]:
    """Keys and values that make tokenizer_from_gguf give the same tokenizer as tokenizer_from_directory.

    vocab_size: rows of the model's embedding, if more than the tokenizer has; the rest are written as unused tokens.
    first_ends: ids that the model's config names as ends, to be named before those that only the tokenizer knows.

    Raises     Unsupported for a splitting that GGUF has no name for, or options it has no key for; InputError for a
               vocab_size that is too small
    """
    tokenizer = tokenizer_from_directory(directory)
    spec = spec_from_json(json.loads((Path(directory) / "tokenizer.json").read_bytes()))
    rows = tokenizer.vocab_size if vocab_size is None else vocab_size
    if rows < tokenizer.vocab_size:
        raise InputError(f"[gguf] vocab_size {rows} is less than the tokenizer's {tokenizer.vocab_size}")
    tokens, types = _tokens_and_types(spec, rows)
    metadata: dict[str, object] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": _pre_name(spec),
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [f"{left} {right}" for left, right in spec.merges],
        "tokenizer.ggml.add_bos_token": tokenizer.wants_bos,
    }
    metadata |= _special_ids(tokenizer, first_ends)
    if tokenizer.chat_template is not None:
        metadata["tokenizer.chat_template"] = tokenizer.chat_template
    return metadata


def _tokens_and_types(spec: BpeSpec, rows: int) -> tuple[list[str], np.ndarray[tuple[int], np.dtype[np.int32]]]:
    tokens = [f"[PAD{index}]" for index in range(rows)]
    types = np.full(rows, UNUSED, dtype=np.int32)
    for token, token_id in zip(spec.tokens, spec.ids, strict=True):
        tokens[token_id], types[token_id] = token, NORMAL
    for added in spec.added:
        tokens[added.id], types[added.id] = added.text, CONTROL if added.special else USER_DEFINED
    return tokens, types


def _pre_name(spec: BpeSpec) -> str:
    options = spec.options
    if options.continuing_subword_prefix or options.end_of_word_suffix or options.byte_fallback:
        raise Unsupported("[gguf] this BPE uses subword prefixes, suffixes or byte fallback, which GGUF cannot say")
    wanted = (_canonical(spec.pre_tokenizer), _canonical(spec.normalizer), options.ignore_merges)
    for name, row in PRE_TOKENIZERS.items():
        if wanted == (_canonical(row.pre_tokenizer), _canonical(row.normalizer), row.ignore_merges):
            return name
    raise Unsupported(
        f"[gguf] no name for this way of splitting text: {json.dumps(spec.pre_tokenizer)}, normalizer "
        f"{json.dumps(spec.normalizer)}, ignore_merges {options.ignore_merges}; train with a row of PRE_TOKENIZERS"
    )


def _canonical(component: object) -> object:
    """Without trim_offsets, which changes no ids."""
    if isinstance(component, dict):
        return {key: _canonical(value) for key, value in component.items() if key != "trim_offsets"}
    return [_canonical(value) for value in component] if isinstance(component, list) else component


def _special_ids(tokenizer: Tokenizer, first_ends: Sequence[int]) -> dict[str, object]:
    """Ids of begin and ends; readers find the ends in END_TEXTS by their text, so those may go unnamed."""
    implied = {tokenizer.special_tokens.get(text) for text in END_TEXTS}
    ends = tuple(dict.fromkeys((*first_ends, *tokenizer.eos_token_ids)))
    named, more = ends[:3], ends[3:]
    unnamed = [token for token in more if token not in implied]
    if unnamed:
        raise Unsupported(f"[gguf] end token ids {unnamed}: GGUF can name three, and {list(named)} come first")
    ids: dict[str, object] = {
        f"tokenizer.ggml.{name}_token_id": token for name, token in zip(("eos", "eot", "eom"), named, strict=False)
    }
    if tokenizer.bos_token_id is not None:
        ids["tokenizer.ggml.bos_token_id"] = tokenizer.bos_token_id
    return ids
