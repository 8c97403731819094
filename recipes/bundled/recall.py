# ruff: noqa: E501 - prose is data here, one set of alternatives a line
"""Exchanges whose answer stands earlier in the conversation: a name, a liking, a fact in a little passage."""

import random

from recipes.bundled.grammar import expand
from recipes.bundled.smalltalk import Exchange
from recipes.bundled.words import ANIMALS, BOYS, COLOURS, FOODS, GIRLS, NUMBERS, PETS, PLACES, TOYS

_MEMORIES = (
    ("[My name is|I am|I'm] {name}[.|!|]", "[Nice to meet you, {name}.|Hello, {name}!|{name} is a nice name.]",
     "[What is my name?|Do you know my name?|Who am I?|Do you remember my name?]", "[Your name is {name}.|You are {name}.|Yes, your name is {name}.]"),
    ("[My favorite color is|The color I like most is] {color}.", "[{Color} is a beautiful color.|I like {color} too.|That is a nice color.]",
     "[What is my favorite color?|Which color do I like?]", "Your favorite color is {color}."),
    ("I have a(n) {animal}[.| named {pet}.]", "[How nice!|That is wonderful.] [Is your {animal} big or small?|]",
     "[What animal do I have?|Which pet do I have?]", "You have a(n) {animal}."),
    ("My {animal} is named {pet}.", "{pet} is a good name for a(n) {animal}.",
     "[What is the name of my {animal}?|What is my {animal} called?]", "Your {animal} is named {pet}."),
    ("I am {number} years old.", "[That is a good age.|{Number} years old! How nice.]", "How old am I?", "You are {number} years old."),
    ("My friend is [named|called] {name}.", "[{name} is a nice name.|It is good to have a friend.] ", "[What is the name of my friend?|Who is my friend?]", "Your friend is {name}."),
    ("Please remember the word {toy}.", "[Okay. I will remember the word {toy}.|Yes: {toy}.]", "[What was the word?|Which word did I tell you?]", "The word was {toy}."),
)  # fmt: skip
_PASSAGES = (
    ("{name} has a(n) {color} {toy}.", (
        ("What does {name} have?", "{name} has a(n) {color} {toy}."), ("What color is the {toy}?", "The {toy} is {color}."),
        ("Who has the {toy}?", "{name} has the {toy}."))),
    ("{name} [is|was] {place}.", (("Where [is|was] {name}?", "{name} is {place}."), ("Who is {place}?", "{name} is {place}."))),
    ("The {animal} is named {pet}.", (("What is the name of the {animal}?", "The {animal} is named {pet}."), ("Who is {pet}?", "{pet} is a(n) {animal}."))),
    ("{name} gave the {toy} to {name2}.", (
        ("Who has the {toy} now?", "{name2} has the {toy} now."), ("Who gave the {toy} to {name2}?", "{name} gave the {toy} to {name2}."),
        ("What did {name} give to {name2}?", "{name} gave the {toy} to {name2}."))),
    ("{name} ate {number} {foods}.", (("How many {foods} did {name} eat?", "{name} ate {number} {foods}."), ("What did {name} eat?", "{name} ate {number} {foods}."))),
    ("{name} saw a(n) {animal} {place}.", (
        ("What did {name} see?", "{name} saw a(n) {animal}."), ("Where was the {animal}?", "The {animal} was {place}."), ("Who saw the {animal}?", "{name} saw the {animal}."))),
    ("{name} is happy, but {name2} is sad.", (("Who is sad?", "{name2} is sad."), ("Who is happy?", "{name} is happy."))),
    ("{name} likes {animals}, and {name2} likes {animals2}.", (("What does {name} like?", "{name} likes {animals}."), ("What does {name2} like?", "{name2} likes {animals2}."))),
)  # fmt: skip


def _slots(rng: random.Random) -> dict[str, str]:
    beast, beast2 = rng.sample([animal for animal in ANIMALS if animal.name[0] not in "aeiou"], 2)
    name, name2 = rng.sample(GIRLS + BOYS, 2)
    foods = rng.choice([food[0] + "s" for food in FOODS if food[0][-1] in "nera"])
    colour = rng.choice([colour for colour in COLOURS if colour != "orange"])
    return {
        "name": name, "name2": name2, "color": colour, "animal": beast.name, "animals": beast.plural, "animals2": beast2.plural,
        "pet": rng.choice(PETS), "number": rng.choice(NUMBERS[2:13]), "toy": rng.choice(TOYS), "place": rng.choice(PLACES), "foods": foods,
    }  # fmt: skip


def memory(rng: random.Random, between: list[Exchange]) -> list[Exchange]:
    """Something the user says, other exchanges between, and a question about it."""
    told, noted, asked, answer = rng.choice(_MEMORIES)
    slots = _slots(rng)
    first = expand(told, slots, rng), expand(noted, slots, rng)
    return [first, *between, (expand(asked, slots, rng), expand(answer, slots, rng))]


def passage(rng: random.Random) -> Exchange:
    """One or two sentences and a question about the first."""
    slots = _slots(rng)
    text, questions = rng.choice(_PASSAGES)
    question, answer = rng.choice(questions)
    sentences = [expand(text, slots, rng)]
    if rng.random() < 0.4:
        other = _slots(rng) | {
            "name": rng.choice([n for n in GIRLS + BOYS if n not in (slots["name"], slots["name2"])])
        }
        sentences.append(expand(rng.choice((_PASSAGES[0][0], _PASSAGES[1][0], _PASSAGES[5][0])), other, rng))
        if other["toy"] == slots["toy"] or other["place"] == slots["place"] or other["animal"] == slots["animal"]:
            sentences.pop()
        rng.shuffle(sentences)
    return " ".join((*sentences, expand(question, slots, rng))), expand(answer, slots, rng)
