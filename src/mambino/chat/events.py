"""What an answer is made of, as it comes: text, reasoning, and tool calls in pieces.

Values only: wire/ and stream.py make them, sessions and servers pass them on. Start at AnswerEvent; a session adds
ToolFinished.
"""

from dataclasses import dataclass
from typing import Literal

from mambino.chat.messages import ToolCall

Kind = Literal["reasoning", "content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPart:
    """A piece of an answer; text is never empty."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted:
    """A tool call begins; index counts the calls of one answer from 0, id is unique in the conversation."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArguments:
    """A piece of the arguments' JSON text; all pieces of a call together are one JSON object."""

    index: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """A call is complete; repairs say what the model left out and the parser restored, in words."""

    index: int
    call: ToolCall
    repairs: tuple[str, ...] = ()


AnswerEvent = TextPart | CallStarted | CallArguments | CallEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished:
    """A session ran the tool of a call, or refused to (is_repeat); text is what the model is told."""

    call: ToolCall
    text: str
    is_error: bool
    is_repeat: bool
    elapsed_s: float


ChatEvent = AnswerEvent | ToolFinished
