"""Tools of MCP servers, started as programs or reached over HTTP, through the official SDK (extra mambino[mcp]).

The SDK is asynchronous: it lives on an event loop in a thread of its own, and tools call into it. Start at McpTools.
"""

import asyncio
import concurrent.futures
import json
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mambino.chat.tools import Tool
from mambino.errors import InputError, ToolError, Unsupported
from mambino.generation.closing import Closing

if TYPE_CHECKING:
    import mcp
    import mcp_types
    from mcp.client._transport import TransportStreams

CONNECT_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 10.0
HTTP_TIMEOUT_S = 30.0
HTTP_READ_TIMEOUT_S = 300.0  # a server may keep a stream open while a tool works
MAX_TOOLS = 500  # of one server
_MAX_REASON_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """A program to start (command, with its arguments), or the url of a running server's streamable HTTP endpoint.

    name goes before the names of tools that other servers have too. env is added to a minimal environment; headers go
    with every HTTP request (a token, for example).
    """

    name: str
    command: tuple[str, ...] = ()
    url: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # they may hold secrets

    def __post_init__(self) -> None:
        if bool(self.command) == (self.url is not None):
            raise InputError(f"[mcp] server {self.name!r}: expected either a command or a url")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    server: McpServer
    client: "mcp.Client"
    tools: "Sequence[mcp_types.Tool]"


class McpTools(Closing):
    """Connections to servers, and their tools. A context manager: close() ends the programs it started."""

    def __init__(
        self,
        servers: Sequence[McpServer],
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        call_timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        """Connects to all at once.

        Raises     Unsupported without the SDK; InputError for two servers of a name; ToolError, naming the server, if
                   one does not answer; then none is left running
        """
        _require_sdk()
        names = [server.name for server in servers]
        if len(set(names)) < len(names):
            raise InputError(f"[mcp] two servers have the same name; got {', '.join(names)}")
        self._call_timeout_s = call_timeout_s
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._holders: list[asyncio.Task[None]] = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="mcp")
        self._thread.start()
        try:
            connecting = self._connect_all(servers, connect_timeout_s)
            connections = asyncio.run_coroutine_threadsafe(connecting, self._loop).result()
        except BaseException:
            self.close()
            raise
        self.tools = self._named(connections)

    def close(self) -> None:
        """Leave all servers. Tools fail from then on. May be called twice."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect_all(self, servers: Sequence[McpServer], timeout_s: float) -> list[_Connection]:
        waiting = [asyncio.wait_for(self._connect(server), timeout_s) for server in servers]
        connections: list[_Connection] = []
        for server, result in zip(servers, await asyncio.gather(*waiting, return_exceptions=True), strict=True):
            if isinstance(result, TimeoutError):
                raise ToolError(f"[mcp] server {server.name!r} did not answer within {timeout_s:g} s")
            if isinstance(result, BaseException):
                raise result
            connections.append(result)
        return connections

    async def _connect(self, server: McpServer) -> _Connection:
        ready: asyncio.Future[_Connection] = self._loop.create_future()
        holder = self._loop.create_task(self._hold(server, ready))
        self._holders.append(holder)
        try:
            return await ready
        except asyncio.CancelledError:  # it took too long
            holder.cancel()
            raise

    async def _hold(self, server: McpServer, ready: "asyncio.Future[_Connection]") -> None:
        """Keep one connection open until all are closed; the SDK wants it left by the task that entered it."""
        import mcp

        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            try:
                transport = _program(server, said) if server.url is None else _http(server.url, server.headers)
                client = mcp.Client(transport, read_timeout_seconds=self._call_timeout_s)
                async with client:
                    tools = await _all_tools(client)
                    if not ready.done():
                        ready.set_result(_Connection(server=server, client=client, tools=tools))
                    await self._closing.wait()
            except Exception as error:  # of the SDK, its transports, and the server
                if not ready.done():
                    reason = f"{_reason(error)}{_last_words(said)}"
                    ready.set_exception(ToolError(f"[mcp] server {server.name!r} cannot be used: {reason}"))

    async def _leave(self) -> None:
        self._closing.set()
        if not self._holders:
            return
        _, late = await asyncio.wait(self._holders, timeout=CLOSE_TIMEOUT_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _named(self, connections: Sequence[_Connection]) -> tuple[Tool, ...]:
        counts = Counter(found.name for connection in connections for found in connection.tools)
        tools = []
        for connection in connections:
            for found in connection.tools:
                clashes = counts[found.name] > 1
                name = f"{connection.server.name}_{found.name}" if clashes else found.name
                tools.append(self._tool(connection, found, name))
        return tuple(tools)

    def _tool(self, connection: _Connection, found: "mcp_types.Tool", name: str) -> Tool:
        def run(arguments: Mapping[str, object]) -> str:
            if self._loop.is_closed():
                raise ToolError(f"the connection to {connection.server.name} is closed")
            pending = asyncio.run_coroutine_threadsafe(
                connection.client.call_tool(found.name, dict(arguments)), self._loop
            )
            try:
                return _text_of(pending.result(self._call_timeout_s))
            except concurrent.futures.TimeoutError as error:
                pending.cancel()
                raise ToolError(f"{name} took longer than {self._call_timeout_s:g} s") from error
            except ToolError:
                raise
            except Exception as error:  # of the SDK, its transports, and the server
                raise ToolError(f"{name} failed: {_reason(error)}") from error

        return Tool(
            name=name,
            description=found.description or "",
            parameters=found.input_schema,
            run=run,
            timeout_s=self._call_timeout_s + 1.0,  # ours ends first, and tells the server
            asks_first=found.annotations is None or not found.annotations.read_only_hint,
        )


def _require_sdk() -> None:
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise Unsupported("[mcp] MCP servers need the official SDK: pip install 'mambino[mcp]'") from error


def _program(server: McpServer, said: TextIO) -> "AbstractAsyncContextManager[TransportStreams]":
    """A started program; its error stream goes to said."""
    from mcp.client.stdio import StdioServerParameters, stdio_client

    program, *arguments = server.command
    started = StdioServerParameters(command=program, args=arguments, env=dict(server.env), cwd=server.cwd)
    return stdio_client(started, said)


@asynccontextmanager
async def _http(url: str, headers: Mapping[str, str]) -> "AsyncIterator[TransportStreams]":
    import httpx2  # the SDK's own client library
    from mcp.client.streamable_http import streamable_http_client

    limits = httpx2.Timeout(HTTP_TIMEOUT_S, read=HTTP_READ_TIMEOUT_S)
    async with (
        httpx2.AsyncClient(headers=dict(headers), timeout=limits) as http,
        streamable_http_client(url, http_client=http) as streams,
    ):
        yield streams


async def _all_tools(client: "mcp.Client") -> "list[mcp_types.Tool]":
    listed = await client.list_tools()
    tools = list(listed.tools)
    while listed.next_cursor and len(tools) < MAX_TOOLS:
        listed = await client.list_tools(cursor=listed.next_cursor)
        tools += listed.tools
    return tools[:MAX_TOOLS]


def _text_of(result: "mcp_types.CallToolResult") -> str:
    """What the model is told. Raises ToolError if the server says that it is an error."""
    parts = []
    for block in result.content:
        match block.type:
            case "text":
                parts.append(block.text)
            case other:
                parts.append(f"[{other} content, which cannot be shown here]")
    if not parts and result.structured_content is not None:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False))
    text = "\n".join(parts) or "done"
    if result.is_error:
        raise ToolError(text)
    return text


def _reason(error: BaseException) -> str:
    """The innermost of the errors that task groups wrap."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:_MAX_REASON_CHARS]


def _last_words(said: TextIO) -> str:
    """The last line that a program wrote to its error stream."""
    said.seek(0)
    lines = said.read()[-_MAX_REASON_CHARS:].strip().splitlines()
    return f" ({lines[-1]})" if lines else ""
