"""Events of an answer put together again, so that two ways of cutting it can be compared. Start at joined."""

import json
from collections.abc import Sequence
from typing import TypedDict

from mambino.chat.events import AnswerEvent, CallArguments, CallEnded, CallStarted, TextPart


class Parts(TypedDict):
    """calls are (name, arguments, repairs)."""

    reasoning: str
    content: str
    calls: list[tuple[str, object, tuple[str, ...]]]


NO_PARTS: Parts = {"reasoning": "", "content": "", "calls": []}


def joined(events: Sequence[AnswerEvent]) -> Parts:
    """Checks on the way that calls come one after the other, and that pieces are the JSON of the arguments."""
    parts: Parts = {"reasoning": "", "content": "", "calls": []}
    running: CallStarted | None = None
    text = ""
    for event in events:
        match event:
            case TextPart():
                assert running is None
                assert event.text
                parts[event.kind] += event.text
            case CallStarted():
                assert running is None
                assert event.index == len(parts["calls"])
                running, text = event, ""
            case CallArguments():
                assert running is not None
                assert event.index == running.index
                text += event.text
            case CallEnded():
                assert running is not None
                assert (event.index, event.call.id, event.call.name) == (running.index, running.id, running.name)
                assert json.loads(text) == event.call.arguments
                assert isinstance(event.call.arguments, dict)
                parts["calls"].append((event.call.name, event.call.arguments, event.repairs))
                running = None
    assert running is None
    return parts
