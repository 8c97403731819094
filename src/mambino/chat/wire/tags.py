"""Finds tags in text that comes in pieces; an ending that may still become a tag is left over, never longer than one.

Knows text only. Start at TagFinder.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """before is certain. tag is the first tag, None without one; rest follows it, or may become a tag."""

    before: str
    tag: str | None
    rest: str


class TagFinder:
    """Splits text at the first of some tags: the leftmost, of those the longest."""

    def __init__(self, tags: Iterable[str]) -> None:
        chosen = sorted(tags, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, chosen)) or r"(?!)")
        self._beginnings = frozenset(tag[:end] for tag in chosen for end in range(1, len(tag)))
        self._longest = max(map(len, chosen), default=1) - 1

    def split(self, text: str) -> Found:
        match = self._pattern.search(text)
        if match is not None:
            return Found(before=text[: match.start()], tag=match.group(), rest=text[match.end() :])
        for length in range(min(self._longest, len(text)), 0, -1):
            if text[-length:] in self._beginnings:
                return Found(before=text[:-length], tag=None, rest=text[-length:])
        return Found(before=text, tag=None, rest="")
