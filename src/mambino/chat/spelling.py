"""How the text that a state stands for is spelled in ids: rendered conversations, or bare ids.

Start at Spelling; absorbed.py asks one for every text it is given.
"""

from collections.abc import Sequence
from typing import Protocol

from mambino.chat.prompt import PromptEncoder

_FIRST_LETTER = 0x20000  # of the letters that stand for ids: no text that a template renders begins so high


class Spelling(Protocol):
    """Text to ids and back."""

    def encode(self, text: str) -> list[int]:
        """Ids of text, or of a part of it that begins where a place may begin."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """What ids add to the text when they are generated."""
        ...

    def joins(self, known: str, ids: Sequence[int], rest: str) -> bool:
        """Whether known, absorbed as ids, may go on with rest: encoding both at once would cut at the same place."""
        ...


class RenderedSpelling:
    """Text that a template rendered."""

    def __init__(self, prompt: PromptEncoder) -> None:
        self._prompt = prompt

    def encode(self, text: str) -> list[int]:
        return self._prompt.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self._prompt.tokenizer.decode(ids)

    def joins(self, known: str, ids: Sequence[int], rest: str) -> bool:
        """Control tokens cut text for certain; elsewhere what follows the last one is encoded to see."""
        if not known or self._prompt.begins_with_control(rest):
            return True
        tail = known[self._prompt.last_control(known) :]
        if not tail:
            return True
        whole = self._prompt.encode(tail + rest[: self._prompt.first_control(rest)])
        end = len(self._prompt.encode(tail))
        return list(ids[len(ids) - end :]) == whole[:end]


class IdSpelling:
    """One letter for each id, so that equal beginnings of texts are equal beginnings of ids."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) - _FIRST_LETTER for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(chr(_FIRST_LETTER + token) for token in ids)

    def joins(self, known: str, ids: Sequence[int], rest: str) -> bool:
        return True
