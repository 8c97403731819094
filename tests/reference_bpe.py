"""Byte-level BPE written out plainly, as a second opinion on ids: `regex` for the pieces, a loop for the merges.

Shares no code with mambino or the tokenizers library. Start at ReferenceBpe.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import regex  # type: ignore[import-untyped]

GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTION = r"'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LEAD = r"[^\r\n\p{L}\p{N}]?"
CASED = rf"{LEAD}{UPPER}*{LOWER}+|{LEAD}{UPPER}+{LOWER}*"
CASED_CONTRACTED = rf"{LEAD}{UPPER}*{LOWER}+(?:{CONTRACTION})?|{LEAD}{UPPER}+{LOWER}*(?:{CONTRACTION})?"

PATTERNS = {
    "gpt-2": GPT2,
    "llama-bpe": rf"{CONTRACTION}|{LEAD}\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{TAIL}",
    "qwen2": rf"{CONTRACTION}|{LEAD}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{TAIL}",
    "tekken": rf"{CASED}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{TAIL}",
    "gpt-4o": rf"{CASED_CONTRACTED}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{TAIL}",
}


def pieces(pre: str, text: str) -> list[str]:
    """How the named pre-tokenizer splits text."""
    if pre == "smollm":
        parts = regex.split(r"(\p{N})", text)
        return [piece for part in parts for piece in regex.findall(GPT2, part)]
    if pre == "qwen2":
        text = unicodedata.normalize("NFC", text)
    found: list[str] = regex.findall(PATTERNS[pre], text)
    return found


class ReferenceBpe:
    """ids: the id of each token's bytes. merges: pairs of bytes, best first. whole: a piece that is a token is one."""

    def __init__(
        self,
        ids: Mapping[bytes, int],
        merges: Sequence[tuple[bytes, bytes]],
        split: Callable[[str], list[str]],
        whole: bool,
    ) -> None:
        self._ids = ids
        self._rank = {pair: rank for rank, pair in enumerate(merges)}
        self._split = split
        self._whole = whole
        self._known: dict[bytes, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        return [token for piece in self._split(text) for token in self._piece(piece.encode())]

    def _piece(self, piece: bytes) -> list[int]:
        if piece not in self._known:
            self._known[piece] = self._merge(piece)
        return self._known[piece]

    def _merge(self, piece: bytes) -> list[int]:
        if self._whole and piece in self._ids:
            return [self._ids[piece]]
        parts = [piece[at : at + 1] for at in range(len(piece))]
        while True:
            ranked = [(self._rank[pair], at) for at, pair in enumerate(pairwise(parts)) if pair in self._rank]
            if not ranked:
                return [self._ids[part] for part in parts]
            at = min(ranked)[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
