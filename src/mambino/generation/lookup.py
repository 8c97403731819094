"""Guesses how a text goes on by finding where its last tokens stood before: prompt lookup, without a second model.

Knows only ids. Start at PromptLookup.draft.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_MATCHES = (8, 5, 3)  # lengths of the tail that is looked up, longest first; shorter ones are right too seldom


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """tokens may follow the text; match is how many of its last tokens stood before them once already (0: no draft)."""

    tokens: tuple[int, ...] = ()
    match: int = 0


class PromptLookup:
    """The text so far, indexed by its runs of tokens as it grows: a few dictionary entries a token, never a rescan."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._after: dict[int, dict[tuple[int, ...], int]] = {length: {} for length in _MATCHES}

    def follow(self, ids: Sequence[int]) -> None:
        """Make ids the text. Cheap if it goes on from what the text was. Mutates self."""
        if list(ids[: len(self._ids)]) != self._ids:
            self._ids.clear()
            for after in self._after.values():
                after.clear()
        for token in ids[len(self._ids) :]:
            self.append(token)

    def append(self, token: int) -> None:
        """token follows. Mutates self."""
        place = len(self._ids)
        for length, after in self._after.items():
            if place >= length:
                after[tuple(self._ids[-length:])] = place
        self._ids.append(token)

    def draft(self, most: int) -> Draft:
        """Up to most tokens that followed the longest tail found, at its latest place; a repetition goes on."""
        for length, after in self._after.items():
            place = after.get(tuple(self._ids[-length:]))
            if place is not None and most > 0:
                tokens = self._ids[place : place + most]
                period = len(self._ids) - place
                while len(tokens) < most:
                    tokens.append(tokens[len(tokens) - period])
                return Draft(tokens=tuple(tokens), match=length)
        return Draft()
