"""One answer on its way: made in a thread of its own, read by the event loop, never waiting for its reader.

Knows the shape of an answer, no HTTP. Start at Running; Item is what comes out of it.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Self

from mambino.chat.answer import Answer
from mambino.chat.events import AnswerEvent
from mambino.chat.messages import Message
from mambino.chat.turn import Turn
from mambino.errors import MambinoError
from mambino.generation.generate import TokenEvent
from mambino.server.slots import Ticket

HEARTBEAT_S = 10.0  # silence after which a reader hears that the server lives; proxies cut connections at 30 to 60
START_S = 2.0  # how long the status of a stream may wait for its answer to begin
MAX_UNREAD = 4096  # pieces that a reader may be behind before its answer is cut

Progress = Callable[[int, int], None]
Start = Callable[[Progress], Answer]

_log = logging.getLogger("mambino.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """An event with the tokens of the answer proper (not of its reasoning) that were chosen since the last one."""

    event: AnswerEvent
    tokens: tuple[TokenEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptProgress:
    """Tokens of the prompt absorbed, of those that were not in a snapshot."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Nothing happened for a while; waiting is the number of requests before this one."""

    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Always the last item. tokens: those after the last event; note: why the cached prefix ended where it did."""

    turn: Turn
    message: Message
    tokens: tuple[TokenEvent, ...]
    note: str


Item = Piece | PromptProgress | Heartbeat | Ended


class Running(AsyncIterator[Item]):
    """An answer from its place in the line to its end: iterate over it, and close it in any case.

    close() is immediate; the slot is given back once the thread has noticed, within a token. Raises, while iterated
    over, what the answer raises.
    """

    def __init__(
        self,
        start: Start,
        ticket: Ticket,
        caller: Callable[[], AbstractContextManager[None]],
        on_end: "Callable[[Running, Ended | BaseException | None], None]",
    ) -> None:
        """start makes the answer, in the thread; caller surrounds the thread's work.

        on_end is called once, in the event loop, with how it ended; None if it was closed before it began.
        """
        self._start = start
        self._ticket = ticket
        self._caller = caller
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._items: deque[Item | BaseException] = deque()
        self._answer: Answer | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self._is_cut = False
        self._has_ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        if self._has_ended:
            raise StopAsyncIteration
        if self._thread is None:
            if not await _within(self._ticket.wait, HEARTBEAT_S):
                return Heartbeat(waiting=self._ticket.position)
            self._thread = threading.Thread(target=self._make, name="mambino-answer", daemon=True)
            self._thread.start()
        while not self._items:
            self._arrived.clear()
            if not await _within(self._arrived.wait, HEARTBEAT_S):
                return Heartbeat(waiting=0)
        item = self._items.popleft()
        if isinstance(item, BaseException):
            self._has_ended = True
            raise item
        self._has_ended = isinstance(item, Ended)
        return item

    async def begin(self) -> None:
        """Wait a moment for the first sign of life, which stays to be iterated over. Raises what the answer raises.

        A reply whose status is not sent yet can so say what is wrong with a request.
        """
        try:
            async with asyncio.timeout(START_S):
                self._items.appendleft(await anext(self))
                self._has_ended = False
        except TimeoutError:
            pass  # it waits in line

    def stop(self) -> None:
        """End the answer here; what was said so far stays, and Ended follows."""
        self._is_stopped = True
        if self._answer is not None:
            self._answer.stop()

    def end_thinking(self) -> None:
        """Go on with the answer proper, if it is still thinking."""
        if self._answer is not None:
            self._answer.end_thinking()

    def close(self) -> None:
        """End the answer; nobody reads it any more. May be called twice."""
        self.stop()
        if self._thread is None and not self._has_ended:
            self._has_ended = True
            self._ticket.leave()
            self._on_end(self, None)

    def _make(self) -> None:
        """The thread."""
        last: Ended | BaseException
        try:
            with self._caller():
                last = self._iterate()
        except MambinoError as error:
            last = error
        except Exception as error:  # of this request only; the server goes on
            _log.exception("an answer failed")
            last = error
        with suppress(RuntimeError):  # the event loop is gone
            self._loop.call_soon_threadsafe(self._finish, last)

    def _iterate(self) -> Ended:
        with self._start(self._report) as answer:
            self._answer = answer
            if self._is_stopped:
                answer.stop()
            seen = 0
            for event in answer:
                tokens = _fresh(answer.turn, seen)
                seen = len(answer.turn.tokens)
                self._post(Piece(event=event, tokens=tokens))
            rest = _fresh(answer.turn, seen)
            message = answer.message or Message(role="assistant", content="")
            return Ended(turn=answer.turn, message=message, tokens=rest, note=answer.note)

    def _report(self, done: int, total: int) -> None:
        self._post(PromptProgress(done=done, total=total))

    def _post(self, item: Item) -> None:
        if len(self._items) >= MAX_UNREAD:
            self._is_cut = True  # for good: there must be no hole in what the reader gets
            self.stop()
        if self._is_cut:
            return
        self._items.append(item)
        self._loop.call_soon_threadsafe(self._arrived.set)

    def _finish(self, last: Ended | BaseException) -> None:
        self._items.append(last)
        self._arrived.set()
        self._ticket.leave()
        self._on_end(self, last)


def _fresh(turn: Turn, seen: int) -> tuple[TokenEvent, ...]:
    """Tokens after the first seen ones that are not reasoning."""
    return tuple(turn.tokens[max(seen, turn.reasoning_tokens) :])


async def _within(wait: Callable[[], Awaitable[object]], seconds: float) -> bool:
    """Whether wait() ended within seconds."""
    try:
        async with asyncio.timeout(seconds):
            await wait()
    except TimeoutError:
        return False
    return True
