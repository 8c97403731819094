"""What to do when a conversation outgrows the context: refuse, forget the oldest turns, or summarise them.

Messages in, messages out; the system messages at its start always stay, so its state does too. Start at ContextWindow.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mambino.chat.messages import Message
from mambino.errors import ContextFull, InputError
from mambino.generation.prefix_cache import digest_of

ContextPolicy = Literal["error", "drop", "summarise"]
WARN_SHARE = 0.8  # of the context: from here on a user is told
_KEEP_SHARE = 0.5  # of the context that is left after making room, so that room is not made at every turn
_MAX_WINDOWS = 256  # conversations whose windows are remembered
_TELLING_MESSAGES = 4  # what one is known by: many begin with the same words
_SUMMARY_INTRODUCTION = "Summary of our earlier conversation:\n"
_SUMMARY_REPLY = "I remember."


def _nothing(messages: Sequence[Message]) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads what a window shows.

    count      tokens of the prompt of messages
    summarise  what messages say, in few words; "" if that cannot be said. Called with the policy summarise only
    forget     called with what was shown until now, when the oldest of it are dropped
    """

    count: Callable[[Sequence[Message]], int]
    summarise: Callable[[Sequence[Message]], str]
    forget: Callable[[Sequence[Message]], None] = _nothing


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

    def fit(self, messages: Sequence[Message], reserve: int, reader: Reader) -> tuple[Message, ...]:
        """view(messages) that leaves reserve tokens for the answer. Mutates self: drops the oldest turns if it must.

        With the policy error everything is shown, and whoever answers it refuses.

        Raises     ContextFull if the last turn alone is too long
        """
        before = self.view(messages)
        if self.policy == "error":
            return before
        used = reader.count(before)
        if used + reserve <= self.max_tokens:
            return before
        system, rest = _split(messages)
        start = len(self._dropped)
        while used > self.max_tokens * _KEEP_SHARE or used + reserve > self.max_tokens:
            start = _next_turn(rest, start)
            if start >= len(rest):
                break
            used = reader.count((*system, *self._recollection(), *rest[start:]))
        start = min(start, _last_turn(rest))
        if start > len(self._dropped):
            if self.policy == "summarise":
                passing = (*system, *self._recollection(), *rest[len(self._dropped) : start])
                self._summary = reader.summarise(passing) or None
            reader.forget(before)
        self._dropped = tuple(rest[:start])
        shown = self.view(messages)
        if reader.count(shown) >= self.max_tokens:
            raise ContextFull(f"[context] the last message alone has more tokens than the context of {self.max_tokens}")
        return shown

    def _recollection(self) -> tuple[Message, ...]:
        if self._summary is None:
            return ()
        return (
            Message(role="user", content=_SUMMARY_INTRODUCTION + self._summary),
            Message(role="assistant", content=_SUMMARY_REPLY),
        )


@dataclass(slots=True, kw_only=True)
class _Kept:
    window: ContextWindow
    lock: threading.Lock = field(default_factory=threading.Lock)  # a summary takes its time


class Windows:
    """The windows of many conversations, found by how they begin: what a server that keeps no messages remembers."""

    def __init__(self, policy: ContextPolicy, max_tokens: int) -> None:
        self._policy = policy
        self._max_tokens = max_tokens
        self._known: OrderedDict[bytes, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._find("")  # an unknown policy is refused now

    def fit(self, messages: Sequence[Message], reserve: int, reader: Reader) -> tuple[Message, ...]:
        """As ContextWindow.fit; one at a time for each conversation."""
        with self._lock:
            kept = self._find(repr(tuple(messages[:_TELLING_MESSAGES])))
        with kept.lock:
            return kept.window.fit(messages, reserve, reader)

    def _find(self, beginning: str) -> _Kept:
        key = digest_of(beginning)
        kept = self._known.pop(key, None) or _Kept(window=ContextWindow(self._policy, self._max_tokens))
        self._known[key] = kept
        if len(self._known) > _MAX_WINDOWS:
            self._known.popitem(last=False)
        return kept


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
