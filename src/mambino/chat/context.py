"""What to do when a conversation outgrows the context: refuse, forget the oldest turns, or summarise them.

Messages in, messages out; the system messages at its start always stay, so its state does too. Start at ContextWindow.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal

from mambino.chat.messages import Message
from mambino.errors import ContextFull, InputError
from mambino.generation.prefix_cache import digest_of

ContextPolicy = Literal["error", "drop", "summarise"]
WARN_SHARE = 0.8  # of the context: from here on a user is told
_KEEP_SHARE = 0.5  # of the context that is left after making room, so that room is not made at every turn
SUMMARY_REQUEST = (
    "Summarise our conversation so far in at most 150 words: facts about me, decisions, open questions. "
    "Answer with the summary alone."
)
_MAX_WINDOWS = 256  # conversations whose windows are remembered
_SUMMARY_INTRODUCTION = "Summary of our earlier conversation:\n"
_SUMMARY_REPLY = "I remember."

Count = Callable[[Sequence[Message]], int]  # tokens of the prompt of messages
Summarise = Callable[[Sequence[Message]], str]


class ContextWindow:
    """Which of a conversation's messages the model sees; moves forward only, so that prompts stay beginnings."""

    def __init__(self, policy: ContextPolicy, max_tokens: int) -> None:
        if policy not in ("error", "drop", "summarise"):
            raise InputError(f"[context] policy: expected error, drop or summarise, got {policy!r}")
        self.policy = policy
        self.max_tokens = max_tokens
        self._dropped: tuple[Message, ...] = ()
        self._summary: str | None = None

    @property
    def num_dropped(self) -> int:
        """Messages that the model does not see any more."""
        return len(self._dropped)

    def view(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """What of messages the model sees now. Forgets what was dropped if messages begin otherwise. Mutates self."""
        system, rest = _split(messages)
        if tuple(rest[: len(self._dropped)]) != self._dropped:
            self._dropped, self._summary = (), None
        kept = rest[len(self._dropped) :]
        return (*system, *self._recollection(), *kept)

    def fit(self, messages: Sequence[Message], reserve: int, count: Count, summarise: Summarise) -> tuple[Message, ...]:
        """view(messages) that leaves reserve tokens for the answer. Mutates self: drops the oldest turns if it must.

        With the policy error everything is shown, and whoever answers it refuses.

        Raises     ContextFull if the last turn alone is too long
        """
        shown = self.view(messages)
        used = count(shown)
        if self.policy == "error" or used + reserve <= self.max_tokens:
            return shown
        system, rest = _split(messages)
        start = len(self._dropped)
        while used > self.max_tokens * _KEEP_SHARE or used + reserve > self.max_tokens:
            start = _next_turn(rest, start)
            if start >= len(rest):
                break
            used = count((*system, *self._recollection(), *rest[start:]))
        start = min(start, _last_turn(rest))
        if self.policy == "summarise" and start > len(self._dropped):
            self._summary = summarise((*system, *self._recollection(), *rest[len(self._dropped) : start])) or None
        self._dropped = tuple(rest[:start])
        shown = self.view(messages)
        if count(shown) >= self.max_tokens:
            raise ContextFull(f"[context] the last message alone has more tokens than the context of {self.max_tokens}")
        return shown

    def _recollection(self) -> tuple[Message, ...]:
        if self._summary is None:
            return ()
        return (
            Message(role="user", content=_SUMMARY_INTRODUCTION + self._summary),
            Message(role="assistant", content=_SUMMARY_REPLY),
        )


class Windows:
    """The windows of many conversations, found by how they begin: what a server that keeps no messages remembers."""

    def __init__(self, policy: ContextPolicy, max_tokens: int) -> None:
        self._policy = policy
        self._max_tokens = max_tokens
        self._known: OrderedDict[bytes, ContextWindow] = OrderedDict()
        self._lock = threading.Lock()
        self._window("")  # an unknown policy is refused now

    def fit(self, messages: Sequence[Message], reserve: int, count: Count) -> tuple[Message, ...]:
        """As ContextWindow.fit, without summaries."""
        first = next((message for message in messages if message.role == "user"), None)
        with self._lock:
            window = self._window(repr((messages[:1], first)))
            return window.fit(messages, reserve, count, lambda dropped: "")

    def _window(self, beginning: str) -> ContextWindow:
        key = digest_of(beginning)
        window = self._known.pop(key, None) or ContextWindow(self._policy, self._max_tokens)
        self._known[key] = window
        if len(self._known) > _MAX_WINDOWS:
            self._known.popitem(last=False)
        return window


def _split(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """The system messages that a conversation begins with, and the rest."""
    start = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    return list(messages[:start]), list(messages[start:])


def _next_turn(rest: Sequence[Message], start: int) -> int:
    """Where the turn after the one that begins at start begins; len(rest) if there is none."""
    following = range(start + 1, len(rest))
    return next((index for index in following if rest[index].role == "user"), len(rest))


def _last_turn(rest: Sequence[Message]) -> int:
    return max((index for index, message in enumerate(rest) if message.role == "user"), default=0)
