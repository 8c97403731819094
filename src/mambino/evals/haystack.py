"""Long generated texts with known answers: what RULER's tasks are made of. Pure and seeded; knows no model.

Start at Haystack. Lengths are counted in words, WORDS_PER_TOKEN of them to a token, about.
"""

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

WORDS_PER_TOKEN = 0.7
NOISE = "The field is wide. The river is slow. A cloud is passing. There it comes, and back it goes."
_SUBJECTS = ("A traveller", "The old miller", "My neighbour", "The captain", "A young teacher", "The gardener")
_VERBS = ("remembered", "described", "wondered about", "painted", "went to see", "wrote a letter about", "measured")
_OBJECTS = ("the harbour", "a quiet valley", "the winter market", "an empty house", "the lighthouse", "a long road")
_ENDINGS = ("before breakfast", "in the rain", "without a word", "for the third time", "with great care", "at last")
_SYLLABLES = ("ba", "co", "du", "fe", "gi", "ho", "ka", "lu", "me", "ni", "po", "ra", "su", "ti", "vo", "wa", "ze")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


class Haystack:
    """Draws sentences, words, numbers and names for one sample. text None takes a built-in essay."""

    def __init__(self, rng: random.Random, text: Path | None = None) -> None:
        self.rng = rng
        self._used: set[str] = set()
        self._sentences = _SENTENCE_END.split(text.read_text(encoding="utf-8").strip()) if text else []

    def essay(self, words: int) -> list[str]:
        """Sentences of about that many words: of the given text, from a place drawn at random, or made up."""
        if not self._sentences:
            return self._made_up(words)
        start = self.rng.randrange(len(self._sentences))
        found: list[str] = []
        count = 0
        while count < words:
            found.append(" ".join(self._sentences[(start + len(found)) % len(self._sentences)].split()))
            count += max(1, found[-1].count(" ") + 1)
        return found

    def _made_up(self, words: int) -> list[str]:
        found: list[str] = []
        count = 0
        while count < words:
            parts = [self.rng.choice(part) for part in (_SUBJECTS, _VERBS, _OBJECTS, _ENDINGS)]
            found.append(" ".join(parts) + ".")
            count += found[-1].count(" ") + 1
        return found

    def noise(self, words: int) -> list[str]:
        """The same few sentences again and again."""
        return [NOISE] * max(1, words // len(NOISE.split()))

    def hide(self, needles: Sequence[str], sentences: Sequence[str]) -> str:
        """The sentences as one text, with needles between them at places drawn at random, in their order."""
        places = sorted(self.rng.randrange(len(sentences) + 1) for _ in needles)
        lines = list(sentences)
        for place, needle in reversed(list(zip(places, needles, strict=True))):
            lines.insert(place, needle)
        return " ".join(lines)

    def word(self) -> str:
        """A word that is not English, not used before, and no part of another."""
        return self._fresh(lambda: "".join(self.rng.choices(_SYLLABLES, k=4)))

    def number(self) -> str:
        return self._fresh(lambda: str(self.rng.randrange(1_000_000, 10_000_000)))

    def uuid(self) -> str:
        return self._fresh(lambda: "-".join(f"{self.rng.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12)))

    def variable(self) -> str:
        return self._fresh(lambda: "".join(self.rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=5)))

    def _fresh(self, draw: Callable[[], str]) -> str:
        while (found := draw()) in self._used:
            pass
        self._used.add(found)
        return found
