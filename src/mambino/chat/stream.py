"""The text of an answer, as it comes, to events: reasoning, content, and tool calls in pieces.

Knows text only, no tokens and no model; wire/ reads the calls themselves. Start at AnswerParser.
"""

import json
import secrets
from collections.abc import Callable, Sequence
from typing import Literal

from mambino.chat.events import AnswerEvent, CallArguments, CallEnded, CallStarted, Kind, TextPart
from mambino.chat.messages import ToolCall
from mambino.chat.wire.format import (
    ArgumentsText,
    CallBegun,
    CallComplete,
    CallPiece,
    CallReader,
    NotACall,
    Reading,
    Schema,
    WireFormat,
    tools_by_name,
)
from mambino.chat.wire.tags import TagFinder

OPEN, CLOSE = "<think>", "</think>"
MAX_GAP_CHARS = 64  # white space before the opening tag


def new_call_id() -> str:
    """Unique in every conversation."""
    return f"call_{secrets.token_hex(12)}"


class AnswerParser:
    """Feeds of text in, events out; what may still become a tag is held back.

    Reasoning begins in the prompt (starts_inside_thinking) or with an opening tag before anything else, and ends at the
    first closing tag. Later tags are content: they are what the model wrote. Newlines around reasoning and around calls
    drop out. Text that looked like a call but names no tool, or is not readable as one, stays text.

    Law        the joined reasoning, content and arguments depend on the whole text only, not on how it was cut
    """

    def __init__(
        self,
        *,
        wire: WireFormat | None = None,
        tools: Sequence[Schema] = (),
        starts_inside_thinking: bool = False,
        calls_in_thinking: bool = True,
        call_id_factory: Callable[[], str] = new_call_id,
    ) -> None:
        """Without wire or tools nothing is a call. Raises InputError for tools without names."""
        self._tools = tools_by_name(tools)
        self._wire = wire if self._tools else None
        openings = () if self._wire is None else self._wire.openings
        self._in_content = TagFinder(openings)
        self._in_reasoning = TagFinder((CLOSE, *(openings if calls_in_thinking else ())))
        self._phase: Literal["start", "reasoning", "after", "content"] = (
            "reasoning" if starts_inside_thinking else "start"
        )
        self._held = ""
        self._newlines = 0  # held back: they drop out if a tag follows
        self._is_fresh = starts_inside_thinking  # no text yet since the reasoning began, or since a call
        self._reader: CallReader | None = None
        self._calls = _Calls(call_id_factory)

    @property
    def is_reasoning(self) -> bool:
        return self._phase == "reasoning"

    def feed(self, text: str) -> list[AnswerEvent]:
        """The events that text makes certain. Mutates self."""
        self._held += text
        events: list[AnswerEvent] = []
        while self._step(events):
            pass
        return events

    def finish(self) -> list[AnswerEvent]:
        """What was held back, at the end of the answer. Mutates self."""
        events: list[AnswerEvent] = []
        while self._reader is not None:
            self._take(self._reader.finish(), events)
            while self._step(events):
                pass
        held, self._held = self._held, ""
        if self._phase == "reasoning":
            self._add_text("reasoning", held, events)
        elif self._phase != "after":
            self._add_text("content", held, events)
            _append(events, "content", "\n" * self._newlines)
        self._newlines = 0
        return events

    def _step(self, events: list[AnswerEvent]) -> bool:
        """Move as far as one phase, or one call, goes; whether another may follow. Mutates self and events."""
        if self._reader is not None:
            held, self._held = self._held, ""
            return self._take(self._reader.feed(held), events)
        match self._phase:
            case "start":
                return self._look_for_thinking()
            case "after":
                self._held = self._held.lstrip("\n")
                if not self._held:
                    return False
                self._phase = "content"
                return True
            case "reasoning":
                return self._look_for_tag("reasoning", self._in_reasoning, events)
            case "content":
                return self._look_for_tag("content", self._in_content, events)

    def _look_for_thinking(self) -> bool:
        begun = self._held.lstrip()
        is_near = len(self._held) - len(begun) <= MAX_GAP_CHARS
        if is_near and begun.startswith(OPEN):
            self._held, self._phase, self._is_fresh = begun.removeprefix(OPEN), "reasoning", True
            return True
        if is_near and OPEN.startswith(begun):
            return False
        self._phase = "content"
        return True

    def _look_for_tag(self, kind: Kind, finder: TagFinder, events: list[AnswerEvent]) -> bool:
        found = finder.split(self._held)
        self._add_text(kind, found.before, events)
        self._held = found.rest
        if found.tag == CLOSE and kind == "reasoning":
            self._phase, self._newlines, self._is_fresh = "after", 0, False
        elif found.tag is not None and self._wire is not None:
            self._reader = self._wire.read(found.tag, self._tools)
        return found.tag is not None

    def _add_text(self, kind: Kind, text: str, events: list[AnswerEvent]) -> None:
        """Append text, holding back newlines at its end where a tag may follow. Mutates self and events."""
        if self._is_fresh:
            text = text.lstrip("\n")
        body = text.rstrip("\n") if kind == "reasoning" or self._wire is not None else text
        if body:
            _append(events, kind, "\n" * self._newlines + body)
            self._newlines, self._is_fresh = 0, False
        self._newlines += len(text) - len(body)

    def _take(self, reading: Reading, events: list[AnswerEvent]) -> bool:
        """Whether the reader is done. Mutates self and events."""
        for piece in reading.pieces:
            if isinstance(piece, NotACall):
                self._add_text("reasoning" if self.is_reasoning else "content", piece.text, events)
            else:
                self._newlines, self._is_fresh = 0, True
                events += self._calls.events_of(piece)
        if reading.rest is None:
            return False
        self._reader, self._held = None, reading.rest
        return True


def _append(events: list[AnswerEvent], kind: Kind, text: str) -> None:
    if text:
        events.append(TextPart(kind=kind, text=text))


class _Calls:
    """Numbers calls and collects their arguments."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._index = -1
        self._id = ""
        self._name = ""
        self._text: list[str] = []

    def events_of(self, piece: CallPiece) -> list[AnswerEvent]:
        match piece:
            case CallBegun():
                self._index, self._id, self._name, self._text = self._index + 1, self._new_id(), piece.name, []
                return [CallStarted(index=self._index, id=self._id, name=self._name)]
            case ArgumentsText():
                self._text.append(piece.text)
                return [CallArguments(index=self._index, text=piece.text)]
            case CallComplete():
                call = ToolCall(id=self._id, name=self._name, arguments=json.loads("".join(self._text)))
                return [CallEnded(index=self._index, call=call, repairs=piece.repairs)]
        return []


def opens_thinking(prompt: str) -> bool:
    """Whether the prompt leaves the model inside reasoning."""
    return prompt.rstrip().endswith(OPEN)
