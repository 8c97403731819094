"""Exercises in copying: what was said once is said again, spelled for another place. Nothing else is to be learnt.

A small model learns late to find a name in its context and to write it out; these texts are that skill alone, token
after token. Start at exercise.
"""

import random

from recipes.bundled.assistant.lexicon import LEXICONS, made_up
from recipes.bundled.assistant.row import Split

Segment = tuple[str, bool]  # text, whether it can be known from what stands before it

# How a name stands in listings, sentences and calls; a tokenizer cuts it differently in each.
_SPELLINGS = (
    "- {}(\n", " {},", "\n{}", "={}>\n", ' "{}"', " {}.", ": {}\n", " called {} and", ">\n{}\n</parameter>\n",
    "Set the {} now. ", "I call {} with ", "The {} is on. ", "There is no {} here. ",
)  # fmt: skip
_PAIRS = ("{}: {}\n", "{} is {}. ", "<parameter={}>\n{}\n</parameter>\n", "The {} has {}. ", '"{}": "{}", ', "{} ({}) ")
_MADE_UP = 0.6


def exercise(rng: random.Random, split: Split = "train") -> list[Segment]:
    """Names in one spelling and then in another; or pairs, and then each first of a pair with its second."""
    names = [_name(rng, split) for _ in range(rng.randint(4, 12))]
    return _list(rng, names) if rng.random() < 0.3 else _recall(rng, names, split)


def _list(rng: random.Random, names: list[str]) -> list[Segment]:
    """Once in order, and again in other spellings: each name follows the one that it followed."""
    told = rng.choice(_SPELLINGS)
    segments = [("".join(told.format(name) for name in names), False)]
    for _ in range(rng.randint(1, 3)):
        before, after = rng.choice(_SPELLINGS).split("{}")
        first, *others = names
        segments += [("\n" + before + first + after, False)]
        segments += [part for name in others for part in ((before, False), (name + after, True)) if part[0]]
    return segments


def _recall(rng: random.Random, names: list[str], split: Split) -> list[Segment]:
    values = [_name(rng, split) if rng.random() < 0.6 else str(rng.randint(0, 99)) for _ in names]
    told = rng.choice(_PAIRS)
    segments = [("".join(told.format(*pair) for pair in zip(names, values, strict=True)), False)]
    asked = [*zip(names, values, strict=True)] * 2
    rng.shuffle(asked)
    before, middle, after = rng.choice((told, *_PAIRS)).split("{}")
    for name, value in asked:
        segments += [(before + name + middle, False), (value + after, True)]
    return segments


def _name(rng: random.Random, split: Split) -> str:
    if rng.random() < _MADE_UP:
        return made_up(rng, split)
    words = LEXICONS[split]
    return rng.choice(rng.choice((words.rooms, words.devices, words.items, words.people, words.labels, words.toys)))
