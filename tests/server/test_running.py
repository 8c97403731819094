"""Answers and their readers: who leaves, who is slow, who waits, and what a full or closing server says."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mambino.chat.events import TextPart
from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest
from mambino.generation.params import SamplingParams
from mambino.lm import Float32Array, Int32Array, SequenceState
from mambino.server import reply, running
from serving import HELLO, Served, reply_service
from tiny_chat import ReplyLM, tiny_tokenizer

Serve = Callable[..., Served]
PATH = "/v1/chat/completions"
LONG = "word " * 60


class GatedLM(ReplyLM):
    """Takes steps only while the gate is open, which closes by itself after the pass number closes_after."""

    def __init__(self, replies: Sequence[str], *, closes_after: int | None = None) -> None:
        self.tokenizer = tiny_tokenizer()
        super().__init__(self.tokenizer, replies)
        self.gate = threading.Event()
        self.passes = 0
        self._closes_after = closes_after

    def extend_many(self, states: Sequence[SequenceState], tokens: Sequence[Int32Array]) -> Float32Array:
        self._step()
        return super().extend_many(states, tokens)

    def verify(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        self._step()
        return super().verify(state, tokens)

    def _step(self) -> None:
        assert self.gate.wait(20)
        self.passes += 1
        if self.passes == self._closes_after:
            self.gate.clear()


class Client:
    """One connection at the ASGI level: what it has received, and when it leaves."""

    def __init__(self, served: Served, body: dict[str, object], *, reads: bool = True) -> None:
        self._served = served
        self._body = json.dumps(body).encode()
        self._reads = reads
        self._has_sent = False
        self._gone = asyncio.Event()
        self.status = 0
        self.received = b""
        self.is_complete = False

    async def run(self) -> None:
        headers = [(b"host", b"test"), (b"content-type", b"application/json")]
        scope: dict[str, Any] = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": headers,
        }
        await self._served.app(scope, self._receive, self._send)  # type: ignore[arg-type]

    def leave(self) -> None:
        self._gone.set()

    async def _receive(self) -> dict[str, object]:
        if not self._has_sent:
            self._has_sent = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        if not self._reads and self.received:
            await asyncio.Event().wait()  # the buffer is full for ever
        self.received += message["body"]
        self.is_complete = not message.get("more_body", False)


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("streams", [False, True])
def test_a_client_that_leaves_gives_its_slot_to_the_next(streams: bool) -> None:
    model = GatedLM([LONG, "Next."])
    service = reply_service(model=model, tokenizer=model.tokenizer, slots=1)
    served = Served(service)

    async def go() -> None:
        first = Client(served, {"messages": HELLO, "stream": streams})
        second = Client(served, {"messages": HELLO})
        running_first = asyncio.create_task(first.run())
        await until(lambda: service.slots.running == 1)
        running_second = asyncio.create_task(second.run())
        await until(lambda: service.slots.waiting == 1)
        first.leave()
        if streams:
            model.gate.set()  # its status waits for the first sign of life
        await asyncio.wait_for(running_first, 10)
        model.gate.set()
        await asyncio.wait_for(running_second, 10)
        assert json.loads(second.received)["choices"][0]["finish_reason"] == "stop"
        assert service.slots.running == 0

    asyncio.run(go())
    service.close()


def test_one_that_leaves_the_line_is_never_run() -> None:
    model = GatedLM(["One.", "Two."])
    service = reply_service(model=model, tokenizer=model.tokenizer, slots=1)
    served = Served(service)

    async def go() -> None:
        first, second = (Client(served, {"messages": HELLO}) for _ in range(2))
        tasks = [asyncio.create_task(first.run())]
        await until(lambda: service.slots.running == 1)
        tasks.append(asyncio.create_task(second.run()))
        await until(lambda: service.slots.waiting == 1)
        second.leave()
        await asyncio.wait_for(tasks[1], 10)
        assert service.slots.waiting == 0
        model.gate.set()
        await asyncio.wait_for(tasks[0], 10)

    asyncio.run(go())
    service.close()
    assert model.answered == 1


def test_a_reader_that_stops_reading_is_given_up(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    monkeypatch.setattr(reply, "SLOW_READER_S", 0.05)
    served = serve([LONG], slots=1)

    async def go() -> None:
        client = Client(served, {"messages": HELLO, "stream": True}, reads=False)
        await asyncio.wait_for(client.run(), 10)
        await until(lambda: served.service.slots.running == 0)
        assert not client.is_complete

    asyncio.run(go())


def test_an_answer_does_not_wait_for_its_reader_for_ever(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    monkeypatch.setattr(running, "MAX_UNREAD", 8)
    served = serve([LONG], slots=1)

    async def go() -> None:
        client = Client(served, {"messages": HELLO, "stream": True}, reads=False)
        task = asyncio.create_task(client.run())
        await until(lambda: client.received)
        await until(lambda: served.service.slots.running == 0)  # the reader still hangs, the slot is free
        client.leave()
        await asyncio.wait_for(task, 10)

    asyncio.run(go())


def test_silence_is_filled_with_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(running, "START_S", 0.05)
    model = GatedLM(["One.", "Two."])
    service = reply_service(model=model, tokenizer=model.tokenizer, slots=1)
    served = Served(service)

    async def go() -> None:
        clients = [Client(served, {"messages": HELLO, "stream": True}) for _ in range(3)]
        tasks = []
        for client in clients:
            tasks.append(asyncio.create_task(client.run()))
            await asyncio.sleep(0.01)
        await until(lambda: clients[2].received.count(b": waiting behind 1") > 2)
        model.gate.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
        assert all(client.received.endswith(b"data: [DONE]\n\n") for client in clients)

    asyncio.run(go())
    service.close()


def test_a_full_line_says_when_to_come_again() -> None:
    model = GatedLM(["One."])
    service = reply_service(model=model, tokenizer=model.tokenizer, slots=1, max_waiting=1)
    served = Served(service)

    async def go() -> list[Client]:
        clients = [Client(served, {"messages": HELLO}) for _ in range(3)]
        tasks = []
        for client in clients:
            tasks.append(asyncio.create_task(client.run()))
            await until(lambda: service.slots.running)
        await until(lambda: clients[2].status)
        model.gate.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
        return clients

    clients = asyncio.run(go())
    service.close()
    assert sorted(client.status for client in clients) == [200, 200, 429]


def test_a_closing_server_refuses_and_says_so(serve: Serve) -> None:
    served = serve()
    served.service.drain()
    refused = served.post(PATH, {"messages": HELLO})
    assert refused.status_code == 503
    assert served.ask("GET", "/health").status_code == 503


def test_answer_now_reaches_a_running_answer() -> None:
    model = GatedLM([" ".join(map(str, range(100, 140))) + "\n</think>\nYes."], closes_after=12)
    service = reply_service(model=model, tokenizer=model.tokenizer, slots=1)
    served = Served(service)

    async def go() -> str:
        thinking = {"enable_thinking": True}
        client = Client(served, {"messages": HELLO, "stream": True, "chat_template_kwargs": thinking, "max_tokens": 60})
        model.gate.set()
        task = asyncio.create_task(client.run())
        await until(lambda: b"reasoning_content" in client.received and not model.gate.is_set())
        name = client.received.split(b'"id":"')[1].split(b'"')[0].decode()
        (answering,) = service.named(name)
        answering.end_thinking()
        model.gate.set()
        await asyncio.wait_for(task, 10)
        assert not service.named(name)
        return client.received.decode()

    received = asyncio.run(go())
    service.close()
    deltas = [json.loads(line[6:])["choices"][0]["delta"] for line in received.splitlines() if line[:7] == "data: {"]
    assert sum(len(delta.get("reasoning_content", "")) for delta in deltas) < 100  # of 160
    assert any(delta.get("content") for delta in deltas)


def test_there_is_nothing_to_end_in_an_answer_that_is_over(serve: Serve) -> None:
    assert serve().post(f"{PATH}/chatcmpl-unknown/end_thinking", {}).status_code == 404


def test_an_answer_that_fails_is_its_own_problem(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve(["One."], slots=1)

    def fail(*args: object, **more: object) -> object:
        raise RuntimeError("a secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(type(served.service.answerer), "answer", fail)
        whole = served.post(PATH, {"messages": HELLO})
        streamed = served.post(PATH, {"messages": HELLO, "stream": True})
    for failed in (whole, streamed):
        assert failed.status_code == 500
        assert "secret" not in failed.text
    assert served.post(PATH, {"messages": HELLO}).status_code == 200


def test_a_client_that_leaves_before_the_first_byte_gives_its_slot_back(serve: Serve) -> None:
    served = serve([LONG], slots=1)

    async def go() -> None:
        client = Client(served, {"messages": HELLO, "stream": True})
        client.leave()
        await asyncio.wait_for(client.run(), 10)
        await until(lambda: served.service.slots.running == 0)

    asyncio.run(go())


def test_a_reader_that_falls_behind_gets_a_beginning_without_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "MAX_UNREAD", 6)
    said = " ".join(str(number) for number in range(200))
    service = reply_service([said], slots=1, context=2048)
    request = AnswerRequest(messages=(Message(role="user", content="count"),), params=SamplingParams(temperature=0))

    async def go() -> str:
        (answer,) = service.open([request])
        text = ""
        async for item in answer:
            await asyncio.sleep(0.001)
            if isinstance(item, running.Piece) and isinstance(item.event, TextPart):
                text += item.event.text
        return text

    text = asyncio.run(go())
    service.close()
    assert said.startswith(text)
    assert len(text) < len(said)
