"""Calls written as JSON objects with a name and arguments: one, several, or a list of them, then a closing tag.

Hermes and Nano v2 differ in their tags only. Knows text only. Start at JsonCallReader.
"""

import json
from collections.abc import Callable, Mapping

from mambino.chat.wire.format import ArgumentsText, CallBegun, CallComplete, CallPiece, NotACall, Reading, Tools
from mambino.chat.wire.json_text import JsonText, NotJsonError

MAX_GAP_CHARS = 64  # white space and commas between two objects
_ARGUMENT_KEYS = ("arguments", "parameters")


class JsonCallReader:
    """The calls between an opening and its closing tag.

    If the name comes first, arguments stream as they come; else a call is read to its end first. Text that stops being
    JSON ends the block: an unfinished call is closed, and what is part of no call is given back.
    """

    def __init__(self, opening: str, closing: str, tools: Tools) -> None:
        self._opening = opening
        self._closing = closing
        self._tools = tools
        self._raw: list[str] = []  # since the opening, or since the last call: part of no call yet
        self._held = ""  # the beginning of the closing tag
        self._gap = 0
        self._is_list = False
        self._has_called = False
        self._repairs: dict[str, None] | None = None  # of a call that only waits for what follows it
        self._item = JsonText()
        self._item_text: list[str] = []
        self._name: str | None = None
        self._arguments = JsonText()
        self._step: Callable[[str], None] = self._between
        self._pieces: list[CallPiece] = []
        self._rest: str | None = None

    def feed(self, text: str) -> Reading:
        index = 0
        while index < len(text) and self._rest is None:
            run = self._arguments.plain_run(text, index) if self._step == self._in_arguments else ""
            if run:
                self._emit(run)
            else:
                self._step(text[index])
            index += len(run) or 1
        if self._rest is not None:
            self._rest += text[index:]
        pieces, self._pieces = self._pieces, []
        return Reading(pieces=pieces, rest=self._rest)

    def finish(self) -> Reading:
        if self._step in (self._in_arguments, self._after_arguments):
            self._end_call("missing end of the JSON")
        self._break_off()
        return Reading(pieces=self._pieces, rest=self._rest)

    # Each step takes one character.

    def _between(self, char: str) -> None:
        """Around the objects: brackets, commas, white space, the closing tag."""
        self._raw.append(char)
        pending = self._held + char
        if self._repairs is not None and self._closing.startswith(pending):
            self._held = pending
            if pending == self._closing:
                self._complete()
                self._rest = ""
        elif self._held:
            self._break_off()
        elif char == "{":
            self._complete()
            self._item, self._name, self._gap = JsonText(), None, 0
            self._item_text = [self._item.step(char)]
            self._step = self._in_item
        elif char == "[" and not self._is_list and not self._has_called:
            self._is_list = True
        elif (char.isspace() or (self._has_called and char in ",]")) and self._gap < MAX_GAP_CHARS:
            self._gap += 1
        else:
            self._break_off()

    def _in_item(self, char: str) -> None:
        """An object, as long as it may turn out to be no call."""
        self._raw.append(char)
        item = self._item
        is_argument = item.depth == 1 and item.state == "value" and item.key in _ARGUMENT_KEYS
        if char == "{" and is_argument and self._name is not None:
            self._begin(self._name)
            self._arguments = JsonText()
            self._step = self._in_arguments
            self._in_arguments(char)
            return
        try:
            self._item_text.append(item.step(char))
        except NotJsonError:
            self._break_off()
            return
        if item.key == "name" and item.top_string is not None:
            self._name = item.top_string
        if self._name is not None and self._name not in self._tools:
            self._break_off()
        elif item.state == "done":
            self._take_whole_item()

    def _in_arguments(self, char: str) -> None:
        try:
            self._emit(self._arguments.step(char))
        except NotJsonError:
            self._end_call("missing end of the JSON")
            self._between(char)
            return
        if self._arguments.state == "done":
            self._item.pass_over()
            self._step = self._after_arguments

    def _after_arguments(self, char: str) -> None:
        """The end of the object; further fields (an id, a type) say nothing that we need."""
        try:
            self._item.step(char)
        except NotJsonError:
            self._end_call("missing end of the JSON")
            self._between(char)
            return
        if self._item.state == "done":
            self._end_call(None)

    def _take_whole_item(self) -> None:
        """An object whose arguments came before its name, as a string, or not at all."""
        item: dict[str, object] = json.loads("".join(self._item_text))  # JsonText wrote it
        arguments = next((item[key] for key in _ARGUMENT_KEYS if key in item), None)
        text = _object_text(arguments)
        if self._name is None or text is None:
            self._break_off()
            return
        self._begin(self._name)
        self._emit(text)
        self._end_call(None)

    def _begin(self, name: str) -> None:
        self._raw.clear()
        self._has_called = True
        self._pieces.append(CallBegun(name=name))

    def _emit(self, text: str) -> None:
        if text:
            self._pieces.append(ArgumentsText(text=text))

    def _end_call(self, repair: str | None) -> None:
        if self._step == self._in_arguments:
            self._emit(self._arguments.close())
        self._repairs = {**self._item.repairs, **self._arguments.repairs}
        if repair is not None:
            self._repairs[repair] = None
        self._arguments = JsonText()
        self._step = self._between

    def _complete(self) -> None:
        """Report the last call, if it is not reported yet."""
        if self._repairs is not None:
            self._pieces.append(CallComplete(repairs=tuple(self._repairs)))
            self._repairs = None

    def _break_off(self) -> None:
        """The character read last fits nowhere, or there is none."""
        if self._repairs is not None:
            self._repairs[f"missing {self._closing}"] = None
        self._complete()
        if not self._has_called:
            self._pieces.append(NotACall(text=self._opening))
        self._rest = "".join(self._raw)


def _object_text(arguments: object) -> str | None:
    """JSON text of arguments that are an object, text that is one, or absent; else None."""
    if arguments is None:
        return "{}"
    if isinstance(arguments, Mapping):
        return json.dumps(arguments, ensure_ascii=False)
    if not isinstance(arguments, str):
        return None
    reader = JsonText()
    try:
        text = "".join(map(reader.step, arguments))
    except NotJsonError:
        return None
    return text if reader.state == "done" and text.startswith("{") else None
