"""Responses that later ones may go on from: in memory, bounded, the least recently used forgotten first.

Values only. Start at ResponseStore.
"""

import json
from collections import OrderedDict
from dataclasses import dataclass

from mambino.chat.messages import Message
from mambino.server.schema import Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """messages: the whole conversation, its answer included, without instructions; reply: what the client got."""

    messages: tuple[Message, ...]
    reply: Body


class ResponseStore:
    """At most max_count responses, of at most max_nbytes of text together."""

    def __init__(self, max_count: int = 1024, max_nbytes: int = 64 * 2**20) -> None:
        self._max_count = max_count
        self._max_nbytes = max_nbytes
        self._kept: OrderedDict[str, tuple[Stored, int]] = OrderedDict()
        self._nbytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, response_id: str, stored: Stored) -> None:
        """Keep stored, at the cost of older ones; one that is larger than everything is not kept. Mutates self."""
        nbytes = len(json.dumps([message.to_json() for message in stored.messages])) + len(json.dumps(stored.reply))
        if nbytes > self._max_nbytes:
            return
        self._kept[response_id] = (stored, nbytes)
        self._nbytes += nbytes
        while len(self._kept) > self._max_count or self._nbytes > self._max_nbytes:
            _, (_, freed) = self._kept.popitem(last=False)
            self._nbytes -= freed

    def get(self, response_id: str) -> Stored | None:
        """None if it is unknown, or forgotten. Counts as a use."""
        found = self._kept.get(response_id)
        if found is None:
            return None
        self._kept.move_to_end(response_id)
        return found[0]

    def delete(self, response_id: str) -> bool:
        """Whether there was one. Mutates self."""
        found = self._kept.pop(response_id, None)
        if found is not None:
            self._nbytes -= found[1]
        return found is not None
