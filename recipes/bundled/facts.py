# ruff: noqa: E501 - prose is data here, one set of alternatives a line
"""Questions about the closed world and their answers; every answer follows from words.py."""

import random

from recipes.bundled.grammar import capital, expand
from recipes.bundled.smalltalk import Exchange
from recipes.bundled.words import (
    ANIMALS,
    BODY,
    COLOUR_OF,
    DAYS,
    FOODS,
    MIXES,
    MONTHS,
    NUMBERS,
    OPPOSITES,
    SEASONS,
    SHAPES,
    USES,
    WORDS,
)  # fmt: skip


def _article(noun: str) -> str:
    return expand(f"a(n) {noun}", {}, random.Random(0))


def animal(rng: random.Random) -> Exchange:
    beast = rng.choice(ANIMALS)
    a, name = _article(beast.name), beast.name
    legs = NUMBERS[beast.legs] if beast.legs else "no"
    many_colours = beast.colour == "many colours"
    hue = "They come in many colors." if many_colours else f"Most {beast.plural} are {beast.colour}."
    sound = f"{capital(a)} makes {beast.sound}." if " " in beast.sound else f'{capital(a)} says "{beast.sound}".'
    questions = (
        ("[What does {a} say|What sound does {a} make|What noise does {a} make]?", sound),
        ("[What does {a} eat|What do {many} eat|What do {many} like to eat]?", "[{Many} eat {food}.|{A} eats {food}.]"),
        ("[Where does {a} live|Where do {many} live]?", "[{Many} live {home}.|{A} lives {home}.]"),
        ("[What color is {a}|What color are {many}]?", hue),
        ("[How many legs does {a} have|How many legs do {many} have]?", "[{A} has {legs} legs.|{Many} have {legs} legs.]"),
        ("[What is a baby {name} called|What do you call a baby {name}|What is the name of a baby {name}]?",
         "A baby {name} is called a(n) {young}."),
        ("[What can {a} do|What can {many} do]?", "{A} can {can}."),
        ("[What is {a}|Tell me about {many}|What do you know about {many}|Tell me something about the {name}]{stop}",
         "{A} is {size_is} animal that lives {home}. It eats {food}. {A} can {can}."),
        ("Is {a} [big|small]?", "{A} is {size_is} animal."),
    )  # fmt: skip
    user, reply = rng.choice(questions)
    slots = {
        "a": a, "many": beast.plural, "food": beast.food, "home": beast.home, "legs": legs, "name": name,
        "young": beast.young, "can": beast.can, "stop": rng.choice((".", "?")), "size_is": _article(beast.size),
    }  # fmt: skip
    return expand(user, slots, rng), expand(reply, slots, rng)


def food(rng: random.Random) -> Exchange:
    name, colour_, taste, kind = rng.choice(FOODS)
    slots = {"a": _article(name), "color": colour_.replace("colours", "colors"), "taste": taste, "kind": kind}
    user, reply = rng.choice((
        ("[What color is {a}|Which color does {a} have]?", "{A} is {color}." if kind != "treat" else "It can have many colors."),
        ("[How does {a} taste|What does {a} taste like]?", "{A} tastes {taste}." if " " not in taste else "{A} is {taste}."),
        ("[What is {a}|What kind of food is {a}]?", "{A} is a {kind}. It is {taste}."),
        ("Is {a} a [fruit|vegetable]?", "{A} is a {kind}."),
    ))  # fmt: skip
    return expand(user, slots, rng), expand(reply, slots, rng)


def opposite(rng: random.Random) -> Exchange:
    one, two = rng.sample(rng.choice(OPPOSITES), 2)
    user = expand(
        f"[What is the opposite of {one}?|What's the opposite of {one}?|Say the opposite of {one}.|Opposite of {one}?]",
        {},
        rng,
    )
    return user, expand(f"The opposite of {one} is {two}.", {}, rng)


def colour(rng: random.Random) -> Exchange:
    if rng.random() < 0.3:
        (one, two), mixed = rng.choice(tuple(MIXES.items()))
        first, second = rng.sample((one, two), 2)
        return (
            f"What do you get when you mix {first} and {second}?",
            f"When you mix {first} and {second}, you get {mixed}.",
        )
    thing_, hue = rng.choice(tuple(COLOUR_OF.items()))
    user = expand(f"[What color is {thing_}?|What is the color of {thing_}?|Which color is {thing_}?]", {}, rng)
    return user, f"{capital(thing_)} is {hue}."


def number(rng: random.Random) -> Exchange:
    first, second = rng.randint(0, 10), rng.randint(0, 10)
    match rng.randrange(5):
        case 0:
            as_word = rng.random() < 0.5
            one, two, total = (NUMBERS[n] if as_word else str(n) for n in (first, second, first + second))
            sign = rng.choice(("plus", "and", "+"))
            return f"What is {one} {sign} {two}?", f"{capital(one)} {'plus' if as_word else sign} {two} is {total}."
        case 1:
            end = rng.randint(3, 12)
            numbers = [str(n) if end % 2 else NUMBERS[n] for n in range(1, end + 1)]
            user = rng.choice((f"Count to {end}.", f"Can you count to {end}?", f"Count from 1 to {end}."))
            return user, capital(", ".join(numbers)) + "."
        case 2:
            n = rng.randint(0, 19)
            return rng.choice((f"What comes after {NUMBERS[n]}?", f"Which number comes after {NUMBERS[n]}?")), (
                f"After {NUMBERS[n]} comes {NUMBERS[n + 1]}."
            )
        case 3:
            first, second = rng.sample(range(20), 2)
            more = rng.choice(("bigger", "smaller"))
            answer = max(first, second) if more == "bigger" else min(first, second)
            other = first + second - answer
            return f"Which is {more}, {first} or {second}?", f"{answer} is {more} than {other}."
        case _:
            whole, part, rest = NUMBERS[first + second], NUMBERS[second], NUMBERS[first]
            return f"What is {whole} minus {part}?", f"{capital(whole)} minus {part} is {rest}."


def calendar(rng: random.Random) -> Exchange:
    match rng.randrange(6):
        case 0:
            day = rng.randrange(7)
            return rng.choice((f"What day comes after {DAYS[day]}?", f"Which day is after {DAYS[day]}?")), (
                f"After {DAYS[day]} comes {DAYS[(day + 1) % 7]}."
            )
        case 1:
            month = rng.randrange(12)
            return (
                f"What month comes after {MONTHS[month]}?",
                f"After {MONTHS[month]} comes {MONTHS[(month + 1) % 12]}.",
            )
        case 2:
            user = rng.choice(
                ("What are the days of the week?", "Name the days of the week.", "How many days are in a week?")
            )
            return user, f"There are seven days in a week: {', '.join(DAYS[:-1])} and {DAYS[-1]}."
        case 3:
            user = rng.choice(("What are the seasons?", "How many seasons are there?", "Name the four seasons."))
            return user, "There are four seasons: spring, summer, autumn and winter."
        case 4:
            season, weather = rng.choice(tuple(SEASONS.items()))
            user = rng.choice(
                (f"What is {season} like?", f"Tell me about {season}.", f"How is the weather in {season}?")
            )
            return user, f"In {season}, it is {weather}."
        case _:
            user = rng.choice(
                ("How many months are in a year?", "What are the months of the year?", "Name the months.")
            )
            return user, f"There are twelve months in a year: {', '.join(MONTHS[:-1])} and {MONTHS[-1]}."


def thing(rng: random.Random) -> Exchange:
    match rng.randrange(4):
        case 0:
            tool, use = rng.choice(tuple(USES.items()))
            verb = "are" if tool in ("scissors", "shoes") else "is"
            user = rng.choice(
                (f"What {verb} {tool} for?", f"What do we do with {tool}?", f"What do you use {tool} for?")
            )
            return user, f"We use {tool} to {use}."
        case 1:
            shape, sides = rng.choice(tuple(SHAPES.items()))
            return f"How many sides does a {shape} have?", f"A {shape} has {sides} sides."
        case 2:
            part, use = rng.choice(tuple(BODY.items()))
            return rng.choice(
                (
                    f"What do we do with our {part}?",
                    f"What is our {part} for?" if part in ("nose", "tongue") else f"What are our {part} for?",
                )
            ), (f"We use our {part} to {use}.")
        case _:
            word, meaning = rng.choice(tuple(WORDS.items()))
            link = "is" if not word.endswith("scissors") else "are"
            user = rng.choice(
                (f"What {link} {word}?", f"What does {word.split()[-1]} mean?", f"Can you tell me what {word} is?")
            )
            return user, f"{capital(word)} {link} {meaning}."
