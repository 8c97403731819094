"""Rows about tools: a call, no tool that fits, a room that is not there."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from mambino.chat.messages import Message, ToolCall
from recipes.bundled.assistant.lexicon import LEXICONS, made_up
from recipes.bundled.assistant.row import Abstain, Calls, NoCall, Row, Split
from recipes.bundled.assistant.tool_kinds import TOOL_KINDS, Form, Slot, ToolKind
from recipes.bundled.grammar import expand

_MADE_UP = 0.25  # of names
_RENAMED = 0.4  # of tools


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A tool as it is listed in one row. keys: the name of each parameter by its slot."""

    kind: ToolKind
    name: str
    keys: Mapping[Slot, str]

    @property
    def schema(self) -> dict[str, object]:
        properties = {self.keys[param.slot]: {"type": param.type} for param in self.kind.params}
        parameters = {"type": "object", "properties": properties, "required": list(properties)}
        return {"name": self.name, "description": self.kind.about, "parameters": parameters}


def call(rng: random.Random, split: Split) -> Row:
    """One of the tools listed fits: it is called."""
    offered = _offered(rng, split, rng.randint(1, 5))
    chosen = rng.choice(offered)
    form = rng.choice(chosen.kind.forms)
    values = _values(rng, split, chosen.kind, form)
    asked = _request(rng, split, form, values)
    made = _call(chosen, values)
    reasoning = _because(chosen.name, made) if rng.random() < 0.5 else None
    answer = Message(role="assistant", content="", reasoning=reasoning, tool_calls=(made,))
    return _row(rng, "call", asked, answer, offered, Calls(calls=(made,)))


def no_tool(rng: random.Random, split: Split) -> Row:
    """None of the tools listed does what is asked."""
    first, *others = _offered(rng, split, rng.randint(2, 5))
    form = rng.choice(first.kind.forms)
    asked = _request(rng, split, form, _values(rng, split, first.kind, form))
    said = rng.choice(
        ("I have no tool for that.", "I cannot do that: I have no tool for it.", "Sorry, I have no tool for that.")
    )
    reasoning = "No tool in my list does this. I say so." if rng.random() < 0.5 else None
    answer = Message(role="assistant", content=said, reasoning=reasoning)
    return _row(rng, "no_tool", asked, answer, others, NoCall())


def missing(rng: random.Random, split: Split) -> Row:
    """A tool fits, but the room is none of the home's."""
    offered = _offered(rng, split, rng.randint(1, 4), first=TOOL_KINDS[0])
    home = rng.sample(LEXICONS[split].rooms, rng.randint(2, 5))
    form = rng.choice(TOOL_KINDS[0].forms)
    values = _values(rng, split, TOOL_KINDS[0], form)
    room = str(values["room"])
    asked = _request(rng, split, form, values)
    system = f"Rooms: {', '.join(home)}."
    if room in home:
        light = next(tool for tool in offered if tool.kind is TOOL_KINDS[0])
        made = _call(light, values)
        reasoning = f"There is a {room}. {_because(light.name, made)}" if rng.random() < 0.5 else None
        answer = Message(role="assistant", content="", reasoning=reasoning, tool_calls=(made,))
        return _row(rng, "missing", asked, answer, offered, Calls(calls=(made,)), system)
    reasoning = f"There is no {room} in the list of rooms. I say so." if rng.random() < 0.5 else None
    answer = Message(
        role="assistant", content=f"There is no {room} here. The rooms are {', '.join(home)}.", reasoning=reasoning
    )
    return _row(rng, "missing", asked, answer, offered, Abstain(), system)


def _offered(rng: random.Random, split: Split, count: int, first: ToolKind | None = None) -> list[Offered]:
    kinds = rng.sample([kind for kind in TOOL_KINDS if kind is not first], count)
    if first is not None:
        kinds = [first, *kinds[1:]]
    offered = [_one(rng, split, kind) for kind in kinds]
    return offered


def _one(rng: random.Random, split: Split, kind: ToolKind) -> Offered:
    if rng.random() >= _RENAMED:
        return Offered(kind=kind, name=kind.names[0], keys={param.slot: param.names[0] for param in kind.params})
    name = made_up(rng, split) if rng.random() < _MADE_UP else rng.choice(kind.names)
    keys: dict[Slot, str] = {}
    for param in kind.params:
        free = [key for key in param.names if key not in keys.values()]
        keys[param.slot] = made_up(rng, split) if rng.random() < _MADE_UP else rng.choice(free)
    return Offered(kind=kind, name=name, keys=keys)


def _values(rng: random.Random, split: Split, kind: ToolKind, form: Form) -> dict[Slot, object]:
    return {
        param.slot: form.fixed[param.slot] if param.slot in form.fixed else _value(rng, split, param.slot)
        for param in kind.params
    }


def _value(rng: random.Random, split: Split, slot: Slot) -> object:
    words = LEXICONS[split]
    lists: Mapping[Slot, tuple[str, ...]] = {
        "room": words.rooms, "door": words.doors, "device": words.devices, "label": words.labels, "song": words.songs,
        "city": words.cities, "item": words.items, "note": words.notes,
    }  # fmt: skip
    if slot in lists:
        known = rng.choice(lists[slot])
        if slot == "note" or rng.random() >= _MADE_UP:
            return known
        made = made_up(rng, split)
        return {"room": f"{made} room", "door": f"{made} door"}.get(
            slot, made.capitalize() if slot in ("song", "city") else made
        )
    if slot == "degrees":
        return rng.randrange(15, 27)
    return rng.randrange(2, 60) if slot == "minutes" else rng.randrange(1, 100)


def _request(rng: random.Random, split: Split, form: Form, values: Mapping[Slot, object]) -> str:
    templates = form.train if split == "train" else form.held_out
    return expand(rng.choice(templates), {slot: str(value) for slot, value in values.items()}, rng)


def _call(tool: Offered, values: Mapping[Slot, object]) -> ToolCall:
    return ToolCall(id="1", name=tool.name, arguments={tool.keys[slot]: value for slot, value in values.items()})


def _because(name: str, made: ToolCall) -> str:
    return f"I call {name} with {' and '.join(f'{key} {value}' for key, value in made.arguments.items())}."


def _row(
    rng: random.Random, kind: str, asked: str, answer: Message, offered: list[Offered], check: Calls | NoCall | Abstain,
    system: str | None = None,
) -> Row:  # fmt: skip
    rng.shuffle(offered)
    messages = [Message(role="user", content=asked), answer]
    if system is None and rng.random() < 0.3:
        system = "You are mambino, the assistant of a home."
    if system is not None:
        messages = [Message(role="system", content=system), *messages]
    return Row(kind=kind, messages=tuple(messages), tools=tuple(tool.schema for tool in offered), check=check)
