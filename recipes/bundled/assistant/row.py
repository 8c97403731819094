"""A row: a conversation that ends with the expert's answer, and what a judge must find in any answer to it.

Values only. Start at Row; verdict.py reads the checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mambino.chat.messages import Message, ToolCall

Split = Literal["train", "held_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Exactly these calls, in any order; ids do not matter."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCall:
    """Words instead of a call; any words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstain:
    """No call, and words that say that it is not there, or not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """No call and no abstention; one of the wordings of each fact is in the answer (case does not matter)."""

    facts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Follows:
    """Verifiable instructions by IFEval's ids, each with its arguments; prompt is what gave them."""

    prompt: str
    ids: tuple[str, ...]
    kwargs: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gives:
    """JSON that equals value."""

    value: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plays:
    """One of the actions that the game's agent may take; best are those that the expert thinks as good as its own."""

    game: str
    legal: tuple[str, ...]
    best: tuple[str, ...]


Check = Calls | NoCall | Abstain | Says | Follows | Gives | Plays


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """messages end with the expert's answer; tools are JSON schemas of functions; check is about the last answer."""

    kind: str
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, object], ...] = ()
    check: Check

    @property
    def thinks(self) -> bool:
        """Whether thinking is switched on for the last answer."""
        return self.messages[-1].reasoning is not None

    def to_json(self) -> dict[str, object]:
        """As mambino.posttrain.rows reads it."""
        fields: dict[str, object] = {"messages": [message.to_json() for message in self.messages]}
        if self.tools:
            fields["tools"] = [dict(tool) for tool in self.tools]
        return fields
