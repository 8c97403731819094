"""A server in this process, around a model that says what a test scripts. Start at Served."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import httpx

from mambino.chat.answering import Answerer
from mambino.chat.context import ContextPolicy
from mambino.generation.params import SamplingParams
from mambino.lm import Adapter, LanguageModel
from mambino.server.app import build_app
from mambino.server.guard import Access
from mambino.server.served import ServedModel
from mambino.server.service import Limits, Service
from mambino.server.worker import BatchingLM
from mambino.tokenizer.tokenizer import Tokenizer
from tiny_chat import ReplyLM, tiny_tokenizer

Result = TypeVar("Result")
HELLO = [{"role": "user", "content": "hi"}]


def reply_service(
    replies: Sequence[str] = ("Hello there.",),
    *,
    model: LanguageModel | None = None,
    tokenizer: Tokenizer | None = None,
    slots: int = 2,
    max_waiting: int = 8,
    context: int = 512,
    max_body_bytes: int = 2**20,
    when_full: ContextPolicy = "error",
    adapters: Mapping[str, Adapter] | None = None,
) -> Service:
    """A service whose model gives replies in order; or model."""
    tokenizer = tokenizer or tiny_tokenizer()
    batching = BatchingLM(model or ReplyLM(tokenizer, replies))
    return Service(
        served=ServedModel(name="tiny", named=adapters or {}),
        batching=batching,
        answerer=Answerer(batching, tokenizer, context=context, slots=slots),
        limits=Limits(slots=slots, max_waiting=max_waiting, max_body_bytes=max_body_bytes, when_full=when_full),
        defaults=SamplingParams(temperature=0),
    )


class Served:
    """A service and its application, asked from synchronous tests."""

    def __init__(self, service: Service, access: Access | None = None) -> None:
        self.service = service
        self.app = build_app(service, access or Access(hosts=frozenset({"test"})))

    def run(self, work: Callable[[httpx.AsyncClient], Awaitable[Result]]) -> Result:
        """What work returns, given a client of this application."""

        async def go() -> Result:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=20) as client:
                return await work(client)

        return asyncio.run(go())

    def ask(self, method: str, path: str, **sent: object) -> httpx.Response:
        return self.run(lambda client: client.request(method, path, **sent))  # type: ignore[arg-type]

    def post(self, path: str, body: object, **sent: object) -> httpx.Response:
        return self.ask("POST", path, json=body, **sent)


def stream_events(response: httpx.Response) -> list[dict[str, object]]:
    """The JSON of a stream's data lines; [DONE] is left out."""
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]
