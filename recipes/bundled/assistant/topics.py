# ruff: noqa: E501 - phrasings are data here, one set of alternatives a line
"""Things to write about, and true sentences about each. Start at topic."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from recipes.bundled.assistant.everyday import EVERYDAY
from recipes.bundled.assistant.lexicon import LEXICONS
from recipes.bundled.assistant.row import Split
from recipes.bundled.grammar import expand
from recipes.bundled.words import ANIMALS, NUMBERS

_ANIMALS = {animal.name: animal for animal in ANIMALS}
TASKS: Mapping[Split, tuple[str, ...]] = {
    "train": (
        "Tell me about {topic}.", "Write about {topic}.", "Describe {topic}.", "What is {topic}?",
        "Say something about {topic}.", "Write a text about {topic}.", "Talk about {topic}.",
        "What do you know about {topic}?", "Please tell me something about {topic}.",
        "I want to know more about {topic}.", "Can you tell me about {topic}?", "Explain what {topic} is.",
        "Give me a short text about {topic}.", "Write down what you know about {topic}.",
        "Let us talk about {topic}.", "My question is about {topic}.", "What can you say about {topic}?",
        "I need a text about {topic}.", "Teach me about {topic}.", "Your text should be about {topic}.",
        "What kind of animal is {topic}?", "Think of {topic} and write about it.",
    ),
    "held_out": ("Write a few words about {topic}.", "I want to read about {topic}.", "Tell us what {topic} is.", "Make a little text about {topic}."),
}  # fmt: skip


_THING = 0.35
_OF_THINGS = (
    "A(n) {name} can be big or small.", "Some people have a(n) {name}.", "There are many words for a(n) {name}.",
    "One can draw a(n) {name}.", "No two are the same.", "A(n) {name} has its place.", "Many people like the {name}.",
    "I like the {name}.",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """kind of thing it is; name is one word; task asks to write about it; sentences have no commas, the most telling first."""

    kind: str
    name: str
    task: str
    sentences: tuple[str, ...]
    facts: Mapping[str, str]


def topic(rng: random.Random, split: Split) -> Topic:
    """An animal of the closed world; in training now and then a thing, of which little is said."""
    if split == "train" and rng.random() < _THING:
        return _thing(rng)
    animal = _ANIMALS[rng.choice(LEXICONS[split].animals)]
    food = animal.food.split(",")[0].split(" and ")[0]
    color = animal.colour.replace(",", " or").split(" or ")[0]
    legs = NUMBERS[animal.legs]
    slots = {
        "name": animal.name,
        "food": food,
        "color": color,
        "legs": legs,
        "home": animal.home,
        "can": animal.can,
        "size": animal.size,
        "young": animal.young,
    }
    sentences = [
        "A(n) {name} is a(n) {size} animal.", "A(n) {name} lives {home}.", "A(n) {name} eats {food}.",
        "A(n) {name} can {can}.", "A young {name} is called a(n) {young}.", "A(n) {name} has {legs} legs.",
        "Many people like the {name}.", "I like the {name}.",
    ]  # fmt: skip
    task = expand(rng.choice(TASKS[split]), {"topic": expand(f"a(n) {animal.name}", {}, rng)}, rng)
    return Topic(
        kind="animal",
        name=animal.name,
        task=task,
        sentences=tuple(expand(sentence, slots, rng) for sentence in sentences),
        facts={"animal": animal.name, "food": food, "legs": legs, "color": color, "size": animal.size},
    )


def _thing(rng: random.Random) -> Topic:
    name = rng.choice(EVERYDAY)
    asked = rng.choice(TASKS["train"]).replace("kind of animal", "kind of thing")
    task = expand(asked, {"topic": expand(f"a(n) {name}", {}, rng)}, rng)
    return Topic(
        kind="thing",
        name=name,
        task=task,
        sentences=tuple(expand(sentence, {"name": name}, rng) for sentence in _OF_THINGS),
        facts={"letters": str(len(name)), "first": name[0], "last": name[-1]},
    )
