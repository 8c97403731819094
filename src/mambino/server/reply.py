"""Replies: JSON, and streams of server-sent events that notice a reader who is gone or too slow.

Knows no API. Start at JsonReply and EventStream.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

SLOW_READER_S = 30.0  # for one write; then the reader is given up and its answer ends
IGNORED_HEADER = "x-ignored-fields"


def json_bytes(value: object) -> bytes:
    """Compact UTF-8. A lone surrogate, which a request may smuggle into an error, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")


def sse(value: object, event: str | None = None) -> bytes:
    """One server-sent event of JSON."""
    name = b"" if event is None else b"event: " + event.encode() + b"\n"
    return name + b"data: " + json_bytes(value) + b"\n\n"


def comment(words: str) -> bytes:
    """A line that clients skip: it keeps the connection alive."""
    return b": " + words.encode() + b"\n\n"


def ignored_header(ignored: Iterable[str]) -> dict[str, str]:
    """What the request asked for in vain, for the reader of headers."""
    names = ", ".join(ignored)
    return {IGNORED_HEADER: names} if names else {}


class JsonReply(Response):
    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return json_bytes(content)


class Closable(Protocol):
    def close(self) -> None: ...


class EventStream(Response):
    """Sends what events yields, until it ends, the client is gone, or a write takes SLOW_READER_S.

    Then, in any case, events and all its sources are closed: a generator that never began has no finally.
    """

    def __init__(
        self, events: AsyncGenerator[bytes, None], sources: Sequence[Closable], headers: Mapping[str, str]
    ) -> None:
        self.events = events
        self.sources = sources
        self.status_code = 200
        self.background = None
        self.init_headers({"content-type": "text/event-stream", "cache-control": "no-store", **headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writing = asyncio.create_task(self._write(send))
        leaving = asyncio.create_task(until_gone(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.gather(writing, leaving, return_exceptions=True)
            for source in self.sources:
                source.close()
            await self.events.aclose()

    async def _write(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self.events:
            async with asyncio.timeout(SLOW_READER_S):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def until_gone(receive: Receive) -> None:
    """Returns when the client has closed the connection; the request's body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
