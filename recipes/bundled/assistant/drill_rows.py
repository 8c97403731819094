"""Drills: many requests to one prompt, each answered at once, thinking off and nothing told of results.

A row of tool_rows decides one thing in two hundred tokens, a drill one in fifty: what a small model must see often
(which tool, which words are its arguments, what is not there) comes often. Start at tools.
"""

import random

from mambino.chat.messages import Message
from recipes.bundled.assistant import fact_rows, home_rows, instruction_rows
from recipes.bundled.assistant.asking import Offered, joined, offer, wish
from recipes.bundled.assistant.row import Abstain, Calls, Check, Row, Split
from recipes.bundled.assistant.tool_rows import NO_TOOL, calling

_TURNS = (4, 5, 6, 7, 8)


def tools(rng: random.Random, split: Split, *, unfit_share: float = 0.2, two_share: float = 0.12) -> Row:
    """Up to five tools, and requests that one of them serves, or none.

    unfit_share: of requests are for a tool that is not listed; two_share: of the others want two things.
    """
    offered = list[Offered]()
    while not offered:
        unfit, *offered = offer(rng, split, rng.randint(3, 6))
    messages = list[Message]()
    check: Check = Abstain()
    for _ in range(rng.choice(_TURNS)):
        if rng.random() < unfit_share:
            wanted, check = [wish(rng, split, unfit)], Abstain()
            answer = Message(role="assistant", content=rng.choice(NO_TOOL))
        else:
            count = 2 if rng.random() < two_share else 1
            wanted = [wish(rng, split, rng.choice(offered), number=number) for number in range(1, count + 1)]
            answer, check = calling(False, wanted), Calls(calls=tuple(one.call for one in wanted))
        messages += [Message(role="user", content=joined(rng, wanted)), answer]
    return Row(kind="drill", messages=tuple(messages), tools=tuple(tool.schema for tool in offered), check=check)


def home(rng: random.Random, split: Split) -> Row:
    """What home_rows asks for, in any order; the home itself stays as it is."""
    return home_rows.drill(rng, split, rng.choice(_TURNS))


def facts(rng: random.Random, split: Split) -> Row:
    """Questions about a text, or about oneself."""
    ask = rng.choice((fact_rows.grounded, fact_rows.persona))
    return ask(rng, split, turns=_TURNS, thinks=0.0)


def instructions(rng: random.Random, split: Split) -> Row:
    """Texts to write under rules, or facts to put into JSON, other ones each time."""
    make = rng.choice((instruction_rows.drill, instruction_rows.drill, instruction_rows.structured_drill))
    return make(rng, split, rng.choice(_TURNS[:3]))
