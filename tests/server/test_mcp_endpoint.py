"""The server's tools, seen by the official SDK's client."""

import asyncio
import importlib.util
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest

from mambino.chat.toolbox import ToolBox
from mambino.errors import InputError
from mambino.server.app import build_app
from mambino.server.guard import Access
from serving import reply_service

if importlib.util.find_spec("mcp") is None:
    pytest.skip("SKIPPED LOUDLY: the mcp extra is not installed", allow_module_level=True)

pytestmark = pytest.mark.slow  # importing the SDK takes longer than all other tests of the server
Result = TypeVar("Result")
KEY = "secret"


def weather(city: str) -> str:
    """What the sky does."""
    if city == "nowhere":
        raise ValueError("no such city")
    return f"fog in {city}"


def tools(persona: str | None) -> ToolBox:
    if persona not in (None, "sailor"):
        raise InputError(f"[persona] no persona {persona!r}")
    return ToolBox([] if persona is None else [weather])


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    import uvicorn

    from mambino.server.mcp_endpoint import McpEndpoint

    endpoint = McpEndpoint(tools, max_body_bytes=100_000)
    app = build_app(reply_service(), Access(hosts=frozenset({"127.0.0.1"}), api_key=KEY), mcp_endpoint=endpoint)
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"
    server.should_exit = True
    thread.join(20)
    sock.close()


def with_client(url: str, work: Callable[[Any], Awaitable[Result]], key: str = KEY) -> Result:
    import httpx2
    import mcp
    from mcp.client.streamable_http import streamable_http_client

    async def go() -> Result:
        async with (
            httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}) as http,
            mcp.Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await work(client)

    return asyncio.run(go())


def test_a_client_finds_the_tools_of_a_persona_and_calls_them(address: str) -> None:
    async def work(client: Any) -> tuple[Any, Any, Any, Any]:
        return (
            await client.list_tools(),
            await client.call_tool("weather", {"city": "Oslo"}),
            await client.call_tool("weather", {"city": "nowhere"}),
            await client.call_tool("weather", {"town": 3}),
        )

    listed, fog, failed, wrong = with_client(f"{address}/sailor", work)
    (found,) = listed.tools
    assert (found.name, found.description) == ("weather", "What the sky does.")
    assert found.input_schema["required"] == ["city"]
    assert (fog.content[0].text, fog.is_error) == ("fog in Oslo", False)
    assert failed.is_error
    assert "no such city" in failed.content[0].text
    assert wrong.is_error
    assert "wrong arguments" in wrong.content[0].text


def test_everybody_has_the_tools_of_the_server_and_an_unknown_persona_none(address: str) -> None:
    assert with_client(address, lambda client: client.list_tools()).tools == []
    with pytest.raises(BaseException) as raised:  # the SDK wraps its own error in groups
        with_client(f"{address}/nobody", lambda client: client.list_tools())
    error: BaseException = raised.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert "no persona 'nobody'" in str(error)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": f"Bearer {KEY}", "origin": "https://evil.example"}, 403),
        ({"authorization": f"Bearer {KEY}", "host": "evil.example"}, 403),
    ],
)
def test_the_same_guards_stand_before_it(address: str, headers: dict[str, str], status: int) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"accept": "application/json, text/event-stream"}
    assert httpx.post(address, json=body, headers={**accept, **headers}).status_code == status


def test_a_large_body_is_refused_and_nonsense_is_no_500(address: str) -> None:
    headers = {"authorization": f"Bearer {KEY}", "accept": "application/json, text/event-stream"}
    assert httpx.post(address, content=b" " * 200_000, headers=headers).status_code == 413
    for content in (b"", b"[]", b"{}", b"\x00", b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": 3}'):
        reply = httpx.post(address, content=content, headers={**headers, "content-type": "application/json"})
        assert 400 <= reply.status_code < 500 or "error" in reply.json()
