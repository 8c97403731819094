"""Chats to learn from: JSONL in OpenAI's message form, every row checked, every fault named by its line.

Knows nothing of templates or tokens. Start at read_rows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mambino.chat.messages import Message, message_from_json
from mambino.chat.wire.format import tools_by_name
from mambino.errors import InputError

_SHOWN_FAULTS = 20
_IGNORED_KEYS = frozenset({"name", "weight"})  # of a message; weight is read apart


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRow:
    """One conversation. tools are JSON schemas of functions; is_trained[i]: message i is an answer to be learnt."""

    line: int
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, object], ...] = ()
    is_trained: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a line (from 1)."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a file holds, and what of it cannot be used."""

    rows: tuple[ChatRow, ...]
    faults: tuple[Fault, ...]


def read_rows(path: Path) -> Rows:
    """Every line: {"messages": [...], "tools": [...]}; other fields are ignored, and so are empty lines.

    A message has role, content, reasoning_content, tool_calls and tool_call_id; an assistant's may have weight 0: not
    to be learnt.

    Raises     InputError for a file that is not UTF-8 text
    """
    rows, faults = list[ChatRow](), list[Fault]()
    for line, text in text_lines(path):
        problems = list[str]()
        row = _row(line, text, problems)
        faults += [Fault(line=line, problem=problem) for problem in problems]
        if row is not None and not problems:
            rows.append(row)
    return Rows(rows=tuple(rows), faults=tuple(faults))


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line) of every line that is not empty; a mark of byte order is no part of the first.

    Raises     InputError for a file that is not UTF-8 text
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((line, text) for line, text in enumerate(file, 1) if text.strip())
    except UnicodeDecodeError as error:
        raise InputError(f"[rows] {path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None


def require_sound(path: Path, faults: Sequence[Fault], num_rows: int) -> None:
    """Raises InputError that lists the faults by line, or says that there is nothing to learn from."""
    if faults:
        lines = [f"  line {fault.line}: {fault.problem}" for fault in faults[:_SHOWN_FAULTS]]
        if len(faults) > _SHOWN_FAULTS:
            lines.append(f"  and {len(faults) - _SHOWN_FAULTS} more")
        shown = "\n".join(lines)
        raise InputError(f"[rows] {path}: {len(faults)} faults; mend or remove these lines:\n{shown}")
    if num_rows == 0:
        raise InputError(f'[rows] {path}: holds no rows; expected lines such as {{"messages": [...]}}')


def _row(line: int, text: str, problems: list[str]) -> ChatRow | None:
    """The row of one line, or None. Mutates problems."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        problems.append(f"not JSON: {error}")
        return None
    if not isinstance(fields, Mapping) or not isinstance(fields.get("messages"), list) or not fields["messages"]:
        problems.append('expected an object with a list "messages"')
        return None
    listed = fields["messages"]
    messages = [_message(index, one, problems) for index, one in enumerate(listed)]
    tools = tools_of(fields.get("tools"), problems)
    known = [message for message in messages if message is not None]
    if len(known) < len(listed) or tools is None:
        return None
    weights = [_weight(index, one, problems) for index, one in enumerate(listed)]
    is_trained = tuple(message.role == "assistant" and weight for message, weight in zip(known, weights, strict=True))
    problems += _structure(known, {str(tool["name"]) for tool in tools})
    if not any(is_trained):
        problems.append("no assistant message: nothing to learn from")
    return ChatRow(line=line, messages=tuple(known), tools=tools, is_trained=is_trained)


def _message(index: int, fields: object, problems: list[str]) -> Message | None:
    if isinstance(fields, Mapping):
        fields = {key: value for key, value in fields.items() if key not in _IGNORED_KEYS and value is not None}
    try:
        return message_from_json(fields, where=f"messages[{index}]")
    except InputError as error:
        problems.append(str(error).removeprefix("[chat] "))
        return None


def _weight(index: int, fields: Mapping[str, object], problems: list[str]) -> bool:
    weight = fields.get("weight", 1)
    if weight not in (0, 1):
        problems.append(f"messages[{index}]: weight must be 0 or 1, got {weight!r}")
    return weight == 1


def tools_of(listed: object, problems: list[str]) -> tuple[Mapping[str, object], ...] | None:
    """Schemas without OpenAI's wrapper. Mutates problems; None if they cannot be read."""
    if listed is None:
        return ()
    if not isinstance(listed, list) or not all(isinstance(tool, Mapping) for tool in listed):
        problems.append("tools must be a list of objects")
        return None
    tools = tuple(tool["function"] if isinstance(tool.get("function"), Mapping) else tool for tool in listed)
    try:
        tools_by_name(tools)
    except InputError as error:
        problems.append(str(error).removeprefix("[tools] "))
        return None
    return tools


def _structure(messages: Sequence[Message], tools: set[str]) -> Iterator[str]:
    """What a conversation cannot be: answers out of nothing, calls of unknown tools, results without calls."""
    open_calls = dict[str, str]()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        before = messages[index - 1].role if index else None
        if message.role == "system" and index:
            yield f"{where}: a system message must come first"
        if message.role == "assistant":
            if before in (None, "system"):
                yield f"{where}: an answer to nothing; a user message must come before it"
            if not message.content and not message.tool_calls:
                yield f"{where}: an empty answer"
            open_calls = {call.id: call.name for call in message.tool_calls}
            for call in message.tool_calls:
                if call.name not in tools:
                    yield f"{where}: calls the tool {call.name!r}, which the row's tools do not hold"
        elif message.tool_calls or message.reasoning is not None:
            yield f"{where}: only an assistant reasons and calls tools, not {message.role}"
        if message.role == "tool":
            if before not in ("assistant", "tool") or not open_calls:
                yield f"{where}: the result of no call"
            elif message.tool_call_id is not None and message.tool_call_id not in open_calls:
                yield f"{where}: tool_call_id {message.tool_call_id!r} answers no call of the message before"
