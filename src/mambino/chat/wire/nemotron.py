"""Nemotron 3's calls (and Qwen3-Coder's): <tool_call><function=NAME><parameter=KEY> raw text </parameter>...

Values are raw text, so the schema decides their types. The start is exact, then nothing is lost: missing closers are
put back and reported. Knows text only. Start at NemotronReader; typed_values.py restores types.
"""

import json
import re
from collections.abc import Callable, Sequence

from mambino.chat.messages import ToolCall
from mambino.chat.wire.format import (
    ArgumentsText,
    CallBegun,
    CallComplete,
    CallGrammar,
    CallPiece,
    NotACall,
    Reading,
    Schema,
    TagSpelling,
    Tools,
    WireFormat,
)
from mambino.chat.wire.tags import TagFinder
from mambino.chat.wire.typed_values import is_text, property_schemas, restored
from mambino.chat.wire.xml_grammar import CallTags, xml_call_grammar

OPENING, CLOSING = "<tool_call>", "</tool_call>"
FUNCTION, FUNCTION_END = "<function=", "</function>"
PARAMETER, PARAMETER_END = "<parameter=", "</parameter>"
MAX_KEY_CHARS = 128
MAX_GAP_CHARS = 64  # white space between two tags of a call

_KEY = re.compile(rf"[^\n<>]{{1,{MAX_KEY_CHARS}}}")
_BETWEEN = TagFinder((PARAMETER, FUNCTION_END, CLOSING, FUNCTION, OPENING))
_NEXT_LINE = "\n" + PARAMETER
_VALUE_ENDS = (PARAMETER_END, FUNCTION_END, CLOSING)
_IN_VALUE = TagFinder((*_VALUE_ENDS, *("\n" + tag for tag in _VALUE_ENDS), _NEXT_LINE))


class NemotronReader:
    """One call. A value ends at its closing tag, at the closing tag of what is around it, or at a line that begins with
    the next parameter."""

    def __init__(self, opening: str, tools: Tools) -> None:
        self._opening = opening
        self._tools = tools
        self._held = ""
        self._skipped = ""  # between the opening and the name
        self._pieces: list[CallPiece] = []
        self._rest: str | None = None
        self._step: Callable[[], bool] = self._before_function if opening == OPENING else self._name
        self._repairs: dict[str, None] = {} if opening == OPENING else {f"missing {OPENING}": None}
        self._schemas: dict[str, Schema] = {}
        self._has_arguments = False
        self._key = ""
        self._value: list[str] | None = None  # pieces of a value that is no text; its type is known at its end
        self._at_value_start = False

    def feed(self, text: str) -> Reading:
        self._held += text
        while self._rest is None and self._step():
            pass
        pieces, self._pieces = self._pieces, []
        return Reading(pieces=pieces, rest=self._rest)

    def finish(self) -> Reading:
        reading = self.feed("")
        if reading.rest is not None:
            return reading
        if self._step in (self._before_function, self._name):
            self._reject()
        elif self._step == self._after_function:
            self._complete(f"missing {CLOSING}", rest=self._held)
        else:
            if self._step == self._in_value:
                rest = self._held.removeprefix("\n") if self._at_value_start else self._held
                self._add_value(rest.removesuffix("\n"))
                self._end_value()
                self._repairs[f"missing {PARAMETER_END}"] = None
            self._repairs[f"missing {FUNCTION_END}"] = None
            self._complete(f"missing {CLOSING}", rest="")
        return Reading(pieces=[*reading.pieces, *self._pieces], rest=self._rest)

    # Each step takes what it can from _held; whether another may follow.

    def _before_function(self) -> bool:
        begun = self._held.lstrip()
        gap = len(self._held) - len(begun)
        if gap <= MAX_GAP_CHARS and begun.startswith(FUNCTION):
            self._skipped = self._held[: gap + len(FUNCTION)]
            self._held, self._step = begun.removeprefix(FUNCTION), self._name
            return True
        if gap > MAX_GAP_CHARS or not FUNCTION.startswith(begun):
            self._reject()
        return False

    def _name(self) -> bool:
        name, end, rest = self._held.partition(">")
        if not end and any(tool.startswith(name) for tool in self._tools):
            return False
        if not end or name not in self._tools:
            self._reject()
            return False
        self._pieces.append(CallBegun(name=name))
        self._schemas = property_schemas(self._tools[name])
        self._held, self._step = rest, self._between
        return True

    def _between(self) -> bool:
        found = _BETWEEN.split(self._held)
        self._held = found.rest
        if found.before.strip():
            self._repairs["dropped text between parameters"] = None
        if found.tag == PARAMETER:
            self._step = self._parameter_name
        elif found.tag == FUNCTION_END:
            self._step = self._after_function
        elif found.tag is not None:
            self._repairs[f"missing {FUNCTION_END}"] = None
            if found.tag == CLOSING:
                self._complete(None, rest=found.rest)
            else:
                self._complete(f"missing {CLOSING}", rest=found.tag + found.rest)
        return found.tag is not None

    def _parameter_name(self) -> bool:
        match = _KEY.match(self._held)
        end = match.end() if match else 0
        if end == len(self._held) <= MAX_KEY_CHARS:
            return False
        if match is None or not self._held.startswith(">", end):
            self._repairs["dropped text between parameters"] = None
            self._step = self._between
            return True
        self._key, self._held = match.group(), self._held[end + 1 :]
        self._step, self._at_value_start = self._in_value, True
        self._value = None if is_text(self._schemas.get(self._key)) else []
        self._emit(f"{', ' if self._has_arguments else '{'}{json.dumps(self._key, ensure_ascii=False)}: ")
        self._has_arguments = True
        if self._value is None:
            self._emit('"')
        return True

    def _in_value(self) -> bool:
        if self._at_value_start:
            if _NEXT_LINE.startswith(self._held) and self._held != _NEXT_LINE:
                return False
            if not self._held.startswith(_NEXT_LINE):  # an empty value, and then the next parameter
                self._held = self._held.removeprefix("\n")
            self._at_value_start = False
        found = _IN_VALUE.split(self._held)
        self._add_value(found.before)
        self._held = found.rest
        if found.tag is None:
            return False
        self._end_value()
        if not found.tag.endswith(PARAMETER_END):
            self._repairs[f"missing {PARAMETER_END}"] = None
            self._held = found.tag + self._held
        self._step = self._between
        return True

    def _after_function(self) -> bool:
        begun = self._held.lstrip()
        gap = len(self._held) - len(begun)
        if gap <= MAX_GAP_CHARS and begun.startswith(CLOSING):
            self._complete(None, rest=begun.removeprefix(CLOSING))
        elif gap > MAX_GAP_CHARS or not CLOSING.startswith(begun):
            self._complete(f"missing {CLOSING}", rest=self._held)
        return False

    def _add_value(self, text: str) -> None:
        if self._value is not None:
            self._value.append(text)
        elif text:
            self._emit(json.dumps(text, ensure_ascii=False)[1:-1])

    def _end_value(self) -> None:
        if self._value is None:
            self._emit('"')
        else:
            self._emit(restored("".join(self._value), self._schemas.get(self._key)))

    def _emit(self, text: str) -> None:
        self._pieces.append(ArgumentsText(text=text))

    def _complete(self, repair: str | None, *, rest: str) -> None:
        if repair is not None:
            self._repairs[repair] = None
        self._emit("}" if self._has_arguments else "{}")
        self._pieces.append(CallComplete(repairs=tuple(self._repairs)))
        self._rest = rest

    def _reject(self) -> None:
        self._pieces.append(NotACall(text=self._opening))
        self._rest = self._skipped + self._held


def render_calls(calls: Sequence[ToolCall]) -> str:
    """As Nemotron 3's template writes them, but true, false and null spelled as JSON."""
    return "".join(map(_rendered, calls))


def _rendered(call: ToolCall) -> str:
    values = "".join(
        f"{PARAMETER}{key}>\n{_rendered_value(value)}\n{PARAMETER_END}\n" for key, value in call.arguments.items()
    )
    return f"{OPENING}\n{FUNCTION}{call.name}>\n{values}{FUNCTION_END}\n{CLOSING}\n"


def _rendered_value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _grammar(tools: Tools, spelling: TagSpelling) -> CallGrammar:
    tags = CallTags(
        opening=OPENING, closing=CLOSING, function=FUNCTION, function_end=FUNCTION_END, parameter=PARAMETER,
        parameter_end=PARAMETER_END,
    )  # fmt: skip
    return xml_call_grammar(tools, tags, spelling)


NEMOTRON = WireFormat(
    name="nemotron",
    openings=(OPENING, FUNCTION),
    closing=CLOSING,
    read=NemotronReader,
    render=render_calls,
    grammar=_grammar,
)
