"""Rows about tools of all sorts: one call, several, results told, and requests that no tool serves. Start at call."""

import random
from collections.abc import Sequence

from mambino.chat.messages import Message
from recipes.bundled.assistant.asking import Offered, Wish, deed, joined, offer, spelled, wish
from recipes.bundled.assistant.lexicon import listed
from recipes.bundled.assistant.row import Abstain, Calls, Check, Row, Says, Split

THINKS = 0.5  # of rows have thinking on
NO_TOOL = ("I have no tool for that.", "I cannot do that: I have no tool for it.", "Sorry, I have no tool for that.")
_SYSTEMS = (
    "You are mambino, the assistant of a home.", "You are a helpful assistant.", "You help at home and in games.",
    "You are mambino. Use the tools.",
)  # fmt: skip
_FAILS = 0.25  # of calls
_FAULTS = (
    ("Error: it is offline.", "it is offline"), ("Error: the battery is empty.", "the battery is empty"),
    ("Error: the connection is lost.", "the connection is lost"), ("Error: it is not allowed.", "it is not allowed"),
    ("Error: it took too long.", "it took too long"), ("Error: it is broken.", "it is broken"),
)  # fmt: skip


def call(rng: random.Random, split: Split) -> Row:
    """One of the tools listed fits: it is called."""
    offered = offer(rng, split, rng.randint(1, 5))
    wanted = wish(rng, split, rng.choice(offered))
    answer = calling(rng.random() < THINKS, [wanted])
    asked = Message(role="user", content=joined(rng, [wanted]))
    return _row(rng, "call", [asked, answer], offered, Calls(calls=(wanted.call,)))


def calls(rng: random.Random, split: Split) -> Row:
    """Two or three calls in one turn."""
    offered = offer(rng, split, rng.randint(2, 5))
    wanted = _wishes(rng, split, offered, rng.choice((2, 2, 2, 3)))
    answer = calling(rng.random() < THINKS, wanted)
    messages = [Message(role="user", content=joined(rng, wanted)), answer]
    return _row(rng, "calls", messages, offered, Calls(calls=tuple(one.call for one in wanted)))


def result(rng: random.Random, split: Split) -> Row:
    """The tools have answered: what they did is told, and so is what failed."""
    thinks = rng.random() < THINKS
    offered = offer(rng, split, rng.randint(1, 4))
    messages, facts = list[Message](), list[tuple[str, ...]]()
    for _ in range(rng.choice((1, 1, 2, 2))):
        wanted = _wishes(rng, split, offered, rng.choice((1, 1, 1, 2)))
        messages += [Message(role="user", content=joined(rng, wanted)), calling(thinks, wanted)]
        said, facts = list[str](), list[tuple[str, ...]]()
        for one in wanted:
            error, fault = rng.choice(_FAULTS) if rng.random() < _FAILS else (one.done, "")
            messages.append(Message(role="tool", content=error, tool_call_id=one.call.id))
            said.append(f"That did not work: {fault}." if fault else one.said)
            facts += [("did not work",), (fault,)] if fault else _facts(one)
        reason = (
            "Something failed. I say what."
            if any("did not work" in text for text in said)
            else "It is done. I tell it."
        )
        messages.append(Message(role="assistant", content=" ".join(said), reasoning=reason if thinks else None))
    return _row(rng, "result", messages, offered, Says(facts=tuple(facts)))


def no_tool(rng: random.Random, split: Split) -> Row:
    """None of the tools listed does what is asked."""
    unfit, *offered = offer(rng, split, rng.randint(2, 5))
    while not offered:
        unfit, *offered = offer(rng, split, 4)
    have = (
        f"I only have {offered[0].name}" if len(offered) == 1 else f"I have {listed([tool.name for tool in offered])}"
    )
    reason = f"The user wants me to {deed(unfit.kind.about)}. {have}: no tool for that."
    thinks = rng.random() < THINKS
    answer = Message(role="assistant", content=rng.choice(NO_TOOL), reasoning=reason if thinks else None)
    asked = Message(role="user", content=joined(rng, [wish(rng, split, unfit)]))
    return _row(rng, "no_tool", [asked, answer], offered, Abstain())


def _facts(wanted: Wish) -> list[tuple[str, ...]]:
    """What a report must name: the values that the expert's report names, else all of its words."""
    values = [spelled(value) for value in wanted.call.arguments.values()]
    named: list[tuple[str, ...]] = [(value,) for value in values if value.lower() in wanted.said.lower()]
    return named or [(wanted.said.rstrip("."),)]


def calling(thinks: bool, wanted: Sequence[Wish]) -> Message:
    reason = " ".join(one.reason for one in wanted)
    made = tuple(one.call for one in wanted)
    return Message(role="assistant", content="", reasoning=reason if thinks else None, tool_calls=made)


def _wishes(rng: random.Random, split: Split, offered: Sequence[Offered], count: int) -> list[Wish]:
    """Wishes with different calls, the same tool now and then."""
    wanted = list[Wish]()
    for number in range(1, count + 1):
        one = wish(rng, split, rng.choice(offered), number=number)
        if all((one.call.name, one.call.arguments) != (other.call.name, other.call.arguments) for other in wanted):
            wanted.append(one)
    return wanted


def _row(rng: random.Random, kind: str, messages: Sequence[Message], offered: list[Offered], check: Check) -> Row:
    rng.shuffle(offered)
    system = [Message(role="system", content=rng.choice(_SYSTEMS))] if rng.random() < 0.4 else []
    tools = tuple(tool.schema for tool in offered)
    return Row(kind=kind, messages=(*system, *messages), tools=tools, check=check)
