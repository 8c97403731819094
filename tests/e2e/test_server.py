"""`mambino serve` with the bundled model, as programs and people meet it: clients, a browser, bad company."""

import asyncio
import importlib.util
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import mambino
from server_process import ServerProcess, running_server

HAS_SERVER = all(importlib.util.find_spec(name) for name in ("starlette", "uvicorn", "jsonschema"))
pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(not HAS_SERVER, reason="THE SERVER IS NOT TESTED: install the [server] extra"),
    pytest.mark.skipif(
        not sorted((Path(mambino.__file__).parent / "bundled").glob("*.gguf")), reason="NO BUNDLED MODEL"
    ),
]
STORY = [{"role": "user", "content": "Tell me a story about a fox."}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("home"), "--slots", "3", "--queue", "4", "--self-test") as running:
        yield running


def stream_request(server: ServerProcess, **more: object) -> socket.socket:
    """A raw connection that has asked for a long stream and has read nothing yet."""
    body = json.dumps({"messages": STORY, "stream": True, **more}).encode()
    place = urlsplit(server.address)
    connection = socket.create_connection((place.hostname, place.port or 0), timeout=30)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
    connection.sendall(head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def running_answers(server: ServerProcess) -> int:
    slots = httpx.get(f"{server.address}/health").json()["slots"]
    return int(slots["running"]) + int(slots["waiting"])


def wait_until_idle(server: ServerProcess) -> None:
    deadline = time.monotonic() + 20
    while running_answers(server):
        assert time.monotonic() < deadline, "slots stay taken"
        time.sleep(0.02)


def test_the_self_test_passed_at_the_start(server: ServerProcess) -> None:
    assert any(line.startswith("self-test passed") for line in server.log)


@pytest.mark.slow
def test_openai_and_anthropic_clients_just_work(server: ServerProcess) -> None:
    openai, anthropic = pytest.importorskip("openai"), pytest.importorskip("anthropic")
    client = openai.OpenAI(base_url=f"{server.address}/v1", api_key="none")
    asked = {"model": "bundled", "messages": STORY, "temperature": 0, "max_tokens": 40}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    streamed = "".join(
        event.choices[0].delta.content or "" for event in client.chat.completions.create(**asked, stream=True)
    )
    assert whole == streamed
    assert len(whole.split()) > 5
    other = anthropic.Anthropic(base_url=server.address, api_key="none")
    greedy = {"temperature": 0}
    with other.messages.stream(model="bundled", messages=STORY, max_tokens=40, extra_body=greedy) as stream:
        said = "".join(stream.text_stream)
    assert said == whole


def test_a_client_that_vanishes_frees_its_slot(server: ServerProcess) -> None:
    for _ in range(3):
        connection = stream_request(server, logit_bias={"0": -100}, stop=["never"])
        connection.recv(200)
        connection.close()
    wait_until_idle(server)


def test_bad_company_leaves_no_trace_but_a_line_in_the_log(server: ServerProcess) -> None:
    place = urlsplit(server.address)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {place.netloc}\r\ncontent-type: application/json\r\n"
    for raw in (head + "content-length: 1000\r\n\r\n{", "\0\1\2 nonsense\r\n\r\n", head):
        with socket.create_connection((place.hostname, place.port or 0), timeout=10) as connection:
            connection.sendall(raw.encode())
    asked = {"origin": server.address, "access-control-request-method": "POST"}
    assert httpx.options(f"{server.address}/v1/chat/completions", headers=asked).status_code == 204
    body = b"x" * 10_000_000
    large = httpx.post(f"{server.address}/v1/messages", content=body, headers={"content-type": "application/json"})
    assert large.status_code == 413
    wait_until_idle(server)
    time.sleep(0.05)
    assert not any("Traceback" in line for line in server.log)


def test_many_at_once_get_what_each_alone_gets_and_the_rest_are_told_when_to_come(server: ServerProcess) -> None:
    asked = {"messages": STORY, "temperature": 0, "max_tokens": 60}
    alone = httpx.post(f"{server.address}/v1/chat/completions", json=asked, timeout=60).json()
    said = alone["choices"][0]["message"]["content"]
    replies: list[httpx.Response] = []

    def ask() -> None:
        replies.append(httpx.post(f"{server.address}/v1/chat/completions", json=asked, timeout=60))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    served = [reply for reply in replies if reply.status_code == 200]
    refused = [reply for reply in replies if reply.status_code == 429]
    assert len(served) + len(refused) == 12
    assert len(served) >= 7
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    assert {reply.json()["choices"][0]["message"]["content"] for reply in served} == {said}


@pytest.mark.slow
def test_it_finishes_what_it_has_begun_and_refuses_what_comes_late(tmp_path: Path) -> None:
    with running_server(tmp_path, "--grace", "10", "--slots", "1") as server:
        with stream_request(server, max_tokens=200) as connection:
            received = connection.recv(300)
            codes: list[int] = []
            ending = threading.Thread(target=lambda: codes.append(server.terminate()))
            ending.start()
            while piece := connection.recv(65536):
                received += piece
        ending.join(30)
    assert b"[DONE]" in received
    assert codes in ([0], [-15])
    assert not any("Traceback" in line for line in server.log)
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.address)


@pytest.mark.slow
def test_two_hundred_streams_at_once_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Every stream asks for its own word; the process stays below the ceiling that it was given."""
    with running_server(tmp_path, "--slots", "8", "--queue", "300", "--memory", "256MiB") as server:

        async def one(client: httpx.AsyncClient, index: int) -> tuple[int, str]:
            asked = {
                "messages": [{"role": "user", "content": f"Story number {index}."}],
                "stream": True,
                "max_tokens": 24,
                "guided_regex": f"{index}( [a-z]{{1,8}}){{5}}",
            }
            text = ""
            async with client.stream("POST", f"{server.address}/v1/chat/completions", json=asked) as reply:
                async for line in reply.aiter_lines():
                    if line.startswith("data: {"):
                        text += json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content", "")
            return index, text

        async def crowd() -> list[tuple[int, str]]:
            limits = httpx.Limits(max_connections=None)
            async with httpx.AsyncClient(timeout=300, limits=limits) as client:
                return await asyncio.gather(*(one(client, index) for index in range(1000, 1200)))

        answers = asyncio.run(crowd())
        used = server.resident_nbytes()
    assert len(answers) == 200
    assert all(text.startswith(f"{index} ") for index, text in answers)
    assert used < 256 * 2**20


@pytest.mark.slow
def test_a_reader_that_never_reads_holds_up_nobody(server: ServerProcess) -> None:
    connections = [stream_request(server, max_tokens=900) for _ in range(3)]
    try:
        asked = {"messages": STORY, "max_tokens": 8}
        assert httpx.post(f"{server.address}/v1/chat/completions", json=asked, timeout=30).status_code == 200
    finally:
        for connection in connections:
            connection.close()
    wait_until_idle(server)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="THE MCP OPTIONS ARE NOT TESTED: install [mcp]")
def test_tools_of_other_servers_come_in_and_our_own_go_out(tmp_path: Path) -> None:
    program = f"{sys.executable} {Path(__file__).resolve().parents[1] / 'mcp_server.py'} lamp"
    with running_server(tmp_path, "--mcp", "--tool", "clock", "--mcp-server", program) as server:
        status = httpx.get(f"{server.address}/api/status").json()
        assert {"add", "who_lamp"} <= set(status["asking"])
        assert not any("time" in name for name in status["asking"])
        call = {"name": "add", "arguments": {"a": 2, "b": 3}}
        assert httpx.post(f"{server.address}/api/tools", json=call).json() == {"text": "5", "is_error": False}
        listed = httpx.post(
            f"{server.address}/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
            headers={"accept": "application/json, text/event-stream"},
        ).json()
        names = {tool["name"] for tool in listed["result"]["tools"]}
        assert names
        assert "add" not in names
        server.terminate()
