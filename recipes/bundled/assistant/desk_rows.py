"""Rows with the built-in clock, calculator and notes: what is asked, the call, the tool's answer, and what one says.

Start at desk.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from mambino.chat.builtin_tools.calculator import calculate, calculator_tools, format_number
from mambino.chat.builtin_tools.clock import clock_tools
from mambino.chat.builtin_tools.notes import Notes, notes_tools
from mambino.chat.messages import Message, ToolCall
from recipes.bundled.assistant.desk_phrasings import DATES, READS, REMOVES, SUMS, TIMES, WRITES
from recipes.bundled.assistant.lexicon import LEXICONS
from recipes.bundled.assistant.personas import system_text
from recipes.bundled.assistant.row import Calls, Check, Row, Says, Split
from recipes.bundled.assistant.tool_rows import THINKS
from recipes.bundled.grammar import capital, expand

_CLOCK, _CALCULATOR = clock_tools()[0].schema, calculator_tools()[0].schema
_NOTES = tuple(tool.schema for tool in notes_tools(Notes(Path("notes.txt"))))  # nothing is written until one is called
_SCHEMAS = (_CLOCK, _CALCULATOR, *_NOTES)
_OFFERED = 0.6  # of the tools that nobody needs in a row are listed
_STOPS_AT_CALL = 0.3
_FIRST_DAY = datetime(2024, 1, 1)
_DAYS = 2000
_OPERATIONS = {"plus": "+", "minus": "-", "times": "*", "divided by": "/"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exchange:
    """result is what the tool answers; facts are what the answer must hold."""

    question: str
    name: str
    arguments: Mapping[str, object]
    result: str
    answer: str
    facts: tuple[tuple[str, ...], ...]


def desk(rng: random.Random, split: Split) -> Row:
    """One to three wishes that a tool serves."""
    thinks = rng.random() < THINKS
    notes = rng.sample(LEXICONS[split].notes, rng.randint(0, 3))
    kinds: list[Callable[[random.Random, Split, list[str]], _Exchange]] = [_sum, _sum, _time, _write, _read]
    messages = [Message(role="system", content=system_text("assistant"))] if rng.random() < 0.3 else []
    check: Check = Calls(calls=())
    count = rng.choice((1, 1, 2, 3))
    for index in range(count):
        chosen = rng.choice([*kinds, _remove] if notes else kinds)
        asked = chosen(rng, split, notes)
        call = ToolCall(id="call_1", name=asked.name, arguments=asked.arguments)
        reason = (
            f"I call {asked.name}" + "".join(f" with {key} {value}" for key, value in asked.arguments.items()) + "."
        )
        messages.append(Message(role="user", content=asked.question))
        messages.append(Message(role="assistant", content="", reasoning=reason if thinks else None, tool_calls=(call,)))
        check = Calls(calls=(call,))
        if index == count - 1 and rng.random() < _STOPS_AT_CALL:
            break
        told = "The tool has answered. I tell the user."
        messages.append(Message(role="tool", content=asked.result, tool_call_id=call.id))
        messages.append(Message(role="assistant", content=asked.answer, reasoning=told if thinks else None))
        check = Says(facts=asked.facts)
    called = {call.name for message in messages for call in message.tool_calls}
    tools = [tool for tool in _SCHEMAS if tool["name"] in called or rng.random() < _OFFERED]
    rng.shuffle(tools)
    return Row(kind="desk", messages=tuple(messages), tools=tuple(tools), check=check)


def _sum(rng: random.Random, split: Split, notes: list[str]) -> _Exchange:
    word = rng.choice(list(_OPERATIONS))
    most = rng.choice((12, 100, 1000))
    left, right = rng.randint(2, most), rng.randint(2, most)
    if word == "divided by":
        left *= right
    expression = f"{left} {_OPERATIONS[word]} {right}"
    spoken = expression if rng.random() < 0.3 else f"{left} {word} {right}"
    result = format_number(calculate(expression))
    question = _asked(rng, SUMS[split], {"sum": spoken})
    return _Exchange(
        question=question,
        name=str(_CALCULATOR["name"]),
        arguments={"expression": expression},
        result=result,
        answer=f"{capital(spoken)} is {result}.",
        facts=((f"is {result}",),),
    )


def _time(rng: random.Random, split: Split, notes: list[str]) -> _Exchange:
    now = _FIRST_DAY + timedelta(days=rng.randrange(_DAYS), seconds=rng.randrange(86400))
    result = str(clock_tools(lambda: now)[0].run({}))
    date, clock = result.rsplit(", ", 1)
    if rng.random() < 0.5:
        return _Exchange(
            question=_asked(rng, TIMES[split], {}),
            name=str(_CLOCK["name"]),
            arguments={},
            result=result,
            answer=f"It is {clock[:5]}.",
            facts=((clock[:5],),),
        )
    return _Exchange(
        question=_asked(rng, DATES[split], {}),
        name=str(_CLOCK["name"]),
        arguments={},
        result=result,
        answer=f"Today is {date}.",
        facts=((date,),),
    )


def _write(rng: random.Random, split: Split, notes: list[str]) -> _Exchange:
    """Mutates notes."""
    note = rng.choice(LEXICONS[split].notes)
    notes.append(note)
    number = len(notes)
    return _Exchange(
        question=_asked(rng, WRITES[split], {"note": note}),
        name="write_note",
        arguments={"text": note},
        result=f"Noted as number {number}.",
        answer=f"I wrote it down as note {number}.",
        facts=((f"note {number}", f"number {number}"),),
    )


def _read(rng: random.Random, split: Split, notes: list[str]) -> _Exchange:
    question = _asked(rng, READS[split], {})
    if not notes:
        return _Exchange(
            question=question,
            name="read_notes",
            arguments={},
            result="There are no notes.",
            answer="You have no notes.",
            facts=(("no notes",),),
        )
    result = "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1))
    return _Exchange(
        question=question,
        name="read_notes",
        arguments={},
        result=result,
        answer=f"Your notes are:\n{result}",
        facts=tuple((note,) for note in notes),
    )


def _remove(rng: random.Random, split: Split, notes: list[str]) -> _Exchange:
    """Mutates notes."""
    number = rng.randint(1, len(notes))
    note = notes.pop(number - 1)
    return _Exchange(
        question=_asked(rng, REMOVES[split], {"number": str(number)}),
        name="remove_note",
        arguments={"number": number},
        result=f"Removed: {note}",
        answer=f"I removed the note: {note}.",
        facts=((note,),),
    )


def _asked(rng: random.Random, phrasings: Sequence[str], words: Mapping[str, str]) -> str:
    return capital(expand(rng.choice(phrasings), words, rng))
