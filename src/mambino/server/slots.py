"""Who may run now: a fixed number of slots, and a first-come, first-served line before them.

Belongs to one event loop. Start at Slots.join.
"""

import asyncio
import math
import time
from collections import deque

_TYPICAL_S = 10.0  # of an answer, until some have been seen


class Ticket:
    """A place in the line, then a slot. leave() gives either back; it may be called twice."""

    def __init__(self, slots: "Slots") -> None:
        self._slots = slots
        self._granted = asyncio.Event()
        self._granted_at = 0.0
        self._has_left = False

    @property
    def position(self) -> int:
        """Requests before this one in the line; 0 for the next one, and for one that has a slot."""
        return self._slots.position(self)

    @property
    def has_slot(self) -> bool:
        return self._granted.is_set() and not self._has_left

    async def wait(self) -> None:
        """Until there is a slot. Safe to cancel; the place in the line stays until leave."""
        await self._granted.wait()

    def grant(self) -> None:
        self._granted_at = time.monotonic()
        self._granted.set()

    def leave(self) -> None:
        if not self._has_left:
            self._has_left = True
            self._slots.release(self, time.monotonic() - self._granted_at if self._granted.is_set() else None)


class Slots:
    """count answers run at once; at most max_waiting more wait."""

    def __init__(self, count: int, max_waiting: int) -> None:
        self.count = count
        self.max_waiting = max_waiting
        self._free = count
        self._line: deque[Ticket] = deque()
        self._mean_s = _TYPICAL_S

    @property
    def running(self) -> int:
        return self.count - self._free

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def retry_after_s(self) -> int:
        """When there may be a place in the line again, in whole seconds, at least 1."""
        return max(1, math.ceil(self._mean_s / self.count))

    def join(self) -> Ticket | None:
        """A slot at once if one is free, else a place at the end of the line; None if the line is full."""
        ticket = Ticket(self)
        if self._free:
            self._free -= 1
            ticket.grant()
        elif len(self._line) < self.max_waiting:
            self._line.append(ticket)
        else:
            return None
        return ticket

    def position(self, ticket: Ticket) -> int:
        return self._line.index(ticket) if ticket in self._line else 0

    def release(self, ticket: Ticket, used_s: float | None) -> None:
        """Called by ticket.leave; used_s None means that it never had a slot. Mutates self: the next one runs."""
        if used_s is None:
            self._line.remove(ticket)
            return
        self._mean_s += 0.2 * (used_s - self._mean_s)
        if self._line:
            self._line.popleft().grant()
        else:
            self._free += 1
