"""The listening socket and the process's signals: uvicorn, made to finish what it has begun. Start at serve."""

import asyncio
import socket
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from mambino.errors import InputError
from mambino.server.service import Service

_CUT_S = 5.0  # for answers that were cut to reach their readers


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 picks a free one. Raises InputError that says what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise InputError(f"[serve] {host} port {port}: {error}; choose another --port, 0 for any free one") from error


def serve(app: ASGIApp, service: Service, sock: socket.socket, *, grace_s: float) -> None:
    """Serve until SIGINT or SIGTERM.

    Then new requests are refused, running answers have grace_s to finish and are cut after that; a second signal ends
    everything at once.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=int(grace_s + _CUT_S),
    )
    _Host(config, service, grace_s).run(sockets=[sock])


class _Host(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service, grace_s: float) -> None:
        super().__init__(config)
        self._service = service
        self._grace_s = grace_s
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.drain()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.call_later, self._grace_s, self._service.stop_all)
        super().handle_exit(sig, frame)
