"""Servers of the official SDK, started for real, over both transports: their tools are tools like any other."""

import http.server
import importlib.util
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mambino.chat.mcp import McpServer, McpTools
from mambino.chat.messages import ToolCall
from mambino.chat.toolbox import ToolBox, ToolResult
from mambino.errors import InputError, ToolError

if importlib.util.find_spec("mcp") is None:
    pytest.skip("SKIPPED LOUDLY: the mcp extra is not installed", allow_module_level=True)

SERVER = str(Path(__file__).resolve().parents[1] / "mcp_server.py")
CALL_TIMEOUT_S = 1.0


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.slow
def test_a_program_lends_its_tools() -> None:
    with McpTools([McpServer(name="one", command=(sys.executable, SERVER, "one"))]) as connected:
        assert call(connected, "add", a=2, b=3).text == "5"
        assert call(connected, "who_one").text == "I am one é"
        broken = call(connected, "break_one")
    assert broken.is_error
    assert "the cable is loose" in broken.text
    assert "closed" in call(connected, "who_one").text


@pytest.fixture(scope="module")
def connected() -> Iterator[McpTools]:
    """One server over stdio, one over HTTP."""
    port = free_port()
    with subprocess.Popen([sys.executable, SERVER, "web", str(port)], stderr=subprocess.DEVNULL) as running:
        try:
            wait_for(port)
            stdio = McpServer(name="local", command=(sys.executable, SERVER, "local"))
            web = McpServer(name="web", url=f"http://127.0.0.1:{port}/mcp")
            with McpTools([stdio, web], call_timeout_s=CALL_TIMEOUT_S) as tools:
                yield tools
        finally:
            running.terminate()


def wait_for(port: int) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the server did not start")


def call(connected: McpTools, name: str, **arguments: object) -> ToolResult:
    return ToolBox(connected.tools).call(ToolCall(id="", name=name, arguments=arguments))


@pytest.mark.slow
def test_tools_of_all_servers_are_there_and_clashes_are_prefixed(connected: McpTools) -> None:
    names = {tool.name for tool in connected.tools}
    assert {"local_add", "web_add", "who_local", "who_web"} <= names
    assert "add" not in names
    schemas = {tool.name: tool.schema for tool in connected.tools}
    assert schemas["local_add"]["description"] == "Add two numbers."


@pytest.mark.slow
@pytest.mark.parametrize("server", ["local", "web"])
def test_calls_reach_their_server(connected: McpTools, server: str) -> None:
    assert call(connected, f"who_{server}").text == f"I am {server} é"
    assert call(connected, f"{server}_add", a=2, b=3).text == "5"


@pytest.mark.slow
@pytest.mark.parametrize("server", ["local", "web"])
def test_errors_are_told(connected: McpTools, server: str) -> None:
    broken = call(connected, f"break_{server}")
    assert broken.is_error
    assert "the cable is loose" in broken.text
    assert "is not of type" in call(connected, f"{server}_add", a="x").text


@pytest.mark.slow
def test_a_slow_call_is_given_up_and_the_connection_lives(connected: McpTools) -> None:
    slow = call(connected, "sleep_local", seconds=1.5)
    assert slow.is_error
    assert slow.elapsed_s < 3 * CALL_TIMEOUT_S
    time.sleep(0.7)  # the server's only thread is busy until then
    assert call(connected, "who_local").text == "I am local é"


def test_a_closed_connection_says_so() -> None:
    tools = McpTools([])
    tools.close()
    tools.close()
    assert tools.tools == ()


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (McpServer(name="x", command=("/no/such/program",)), "server 'x' cannot be used"),
        (McpServer(name="x", command=(sys.executable, "-c", "raise SystemExit('no luck')")), "no luck"),
        (McpServer(name="x", url=f"http://127.0.0.1:{free_port()}/mcp"), "server 'x' cannot be used"),
    ],
    ids=["no program", "ends at once", "nobody there"],
)
def test_a_server_that_cannot_be_used_is_named(server: McpServer, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        McpTools([server])


def test_headers_go_with_every_request_and_are_not_shown() -> None:
    seen: list[str | None] = []

    class Refuse(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_error(401)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Refuse) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{refusing.server_port}/mcp"
        guarded = McpServer(name="guarded", url=url, headers={"Authorization": "Bearer secret"})
        with pytest.raises(ToolError, match="'guarded' cannot be used") as caught:
            McpTools([guarded])
        refusing.shutdown()
    assert set(seen) == {"Bearer secret"}
    assert "secret" not in f"{caught.value}{guarded}"


@pytest.mark.slow
def test_servers_that_do_not_answer_are_left() -> None:
    silent = McpServer(name="silent", command=(sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(ToolError, match="'silent' did not answer within 0"):
        McpTools([silent], connect_timeout_s=0.3)


def test_bad_descriptions_are_refused() -> None:
    with pytest.raises(InputError, match="either a command or a url"):
        McpServer(name="x")
    with pytest.raises(InputError, match="same name"):
        McpTools([McpServer(name="x", url="http://a"), McpServer(name="x", url="http://b")])
