"""Guesses how a text goes on by finding where its last tokens stood before: prompt lookup, without a second model.

Knows only ids. Start at PromptLookup.draft.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_MOST_ENTRIES = 2  # for each token of the text, before the index is made anew
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
        # By the hash of a run of tokens: where its latest one ends. Text that was taken back leaves entries behind, so
        # what is found is compared with the text.
        self._after: dict[int, dict[int, int]] = {length: {} for length in _MATCHES}

    def follow(self, ids: Sequence[int]) -> None:
        """Make ids the text. Costs what is new after the beginning that it shares with what the text was. Mutates self.

        Of runs that stood in what was taken back, earlier ones may no longer be found.
        """
        kept = next(
            (place for place, (known, token) in enumerate(zip(self._ids, ids, strict=False)) if known != token), None
        )
        del self._ids[min(len(self._ids), len(ids)) if kept is None else kept :]
        for after in self._after.values():
            if len(after) > _MOST_ENTRIES * (len(ids) + 1):
                after.clear()
                self._ids.clear()
        for token in ids[len(self._ids) :]:
            self.append(token)

    def append(self, token: int) -> None:
        """token follows. Mutates self."""
        place = len(self._ids)
        for length, after in self._after.items():
            if place >= length:
                after[hash(tuple(self._ids[-length:]))] = place
        self._ids.append(token)

    def draft(self, most: int) -> Draft:
        """Up to most tokens that followed the longest tail found, at its latest place; a repetition goes on."""
        for length, after in self._after.items():
            tail = self._ids[-length:]
            place = after.get(hash(tuple(tail)), 0)
            if length <= place < len(self._ids) and self._ids[place - length : place] == tail and most > 0:
                tokens = self._ids[place : place + most]
                period = len(self._ids) - place
                while len(tokens) < most:
                    tokens.append(tokens[len(tokens) - period])
                return Draft(tokens=tuple(tokens), match=length)
        return Draft()
