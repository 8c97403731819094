"""What all routes share: one model, its slots, limits and counters; a checked request becomes a running answer here.

Knows no API's JSON. Start at Service.open.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from mambino.chat.answering import Answerer
from mambino.chat.context import ContextPolicy, Reader, Windows
from mambino.chat.events import AnswerEvent
from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest, OutputFormat
from mambino.chat.summary import summary_request
from mambino.errors import ContextFull, MambinoError
from mambino.generation.generate import TokenEvent
from mambino.generation.params import SamplingParams
from mambino.lm import Adapter
from mambino.server.body import CLIENT_GONE
from mambino.server.metrics import Metrics
from mambino.server.reply import until_gone
from mambino.server.responses.store import ResponseStore
from mambino.server.running import Ended, Item, Piece, Running, Start
from mambino.server.served import ServedModel
from mambino.server.slots import Slots
from mambino.server.worker import BatchingLM

_ANSWER_RESERVE = 256  # tokens that an answer should find room for, if max_tokens does not say
_log = logging.getLogger("mambino.server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """slots answers run at once (the answerer must have as many); max_waiting requests wait in line.

    when_full: whether a conversation that is too long is refused, loses its oldest turns, or has them summed up first.
    """

    slots: int = 4
    max_waiting: int = 256
    max_body_bytes: int = 8 * 2**20
    when_full: ContextPolicy = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A whole answer: its events in order, and the tokens of the answer proper."""

    events: tuple[AnswerEvent, ...]
    tokens: tuple[TokenEvent, ...]
    ended: Ended


@dataclass(slots=True, kw_only=True)
class Service:
    """One served model. Belongs to one event loop; close() ends its threads.

    served    what clients call the model, and its adapters
    answerer  answers with batching, the model that its answers share
    defaults  the sampling where a request says nothing
    """

    served: ServedModel
    answerer: Answerer
    batching: BatchingLM
    limits: Limits
    defaults: SamplingParams
    slots: Slots = field(init=False)
    windows: Windows = field(init=False)
    metrics: Metrics = field(default_factory=Metrics)
    responses: ResponseStore = field(default_factory=ResponseStore)
    started: int = field(default_factory=lambda: int(time.time()))
    is_draining: bool = False
    _running: dict[Running, str] = field(default_factory=dict)
    _idle: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "mambino-idle"))
    _summaries: set[Future[str]] = field(default_factory=set)
    _fitting: ThreadPoolExecutor = field(init=False)  # may wait for summaries, which are answers like any other

    def __post_init__(self) -> None:
        self.slots = Slots(self.limits.slots, self.limits.max_waiting)
        self._fitting = ThreadPoolExecutor(2 * self.limits.slots, "mambino-fit")
        self.windows = Windows(self.limits.when_full, self.context)

    @property
    def name(self) -> str:
        """Of the model."""
        return self.served.name

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together."""
        return self.answerer.context

    def open(self, requests: Sequence[AnswerRequest], name: str = "") -> list[Running]:
        """An answer for each request, all in line for a slot; named() finds them while they run.

        Raises     HTTPException 429 or 503, with none in line
        """
        return self._open([(_answering(self.answerer, request), request) for request in requests], name)

    def open_completions(
        self,
        prompts: Sequence[Sequence[int]],
        params: Sequence[SamplingParams],
        output: OutputFormat | None,
        adapter: Adapter | None,
    ) -> list[Running]:
        """A continuation of each prompt for each of params. Raises as open does."""
        return self._open(
            [(_completing(self.answerer, ids, one, output, adapter), None) for ids in prompts for one in params]
        )

    async def count(self, request: AnswerRequest) -> int:
        """Tokens of the prompt. Raises TemplateError."""
        return await asyncio.to_thread(self.answerer.count_tokens, request)

    async def fitted(self, request: AnswerRequest) -> AnswerRequest:
        """request with what of its messages the model is shown (Limits.when_full).

        A summary is an answer of its own, and waits in line like one.

        Raises     before request runs: TemplateError, ContextFull; InputError for no thinking switch; as open
        """
        loop = asyncio.get_running_loop()

        def summarise(messages: Sequence[Message]) -> str:
            summary = asyncio.run_coroutine_threadsafe(self._summary(messages, request.adapter), loop)
            self._summaries.add(summary)
            try:
                return summary.result()
            finally:
                self._summaries.discard(summary)

        return await loop.run_in_executor(self._fitting, self._fitted, request, summarise)

    def _fitted(self, request: AnswerRequest, summarise: Callable[[Sequence[Message]], str]) -> AnswerRequest:
        def shown(messages: Sequence[Message]) -> AnswerRequest:
            return replace(request, messages=tuple(messages))

        reader = Reader(
            count=lambda messages: self.answerer.count_tokens(shown(messages)),
            summarise=summarise,
            forget=lambda messages: self.answerer.forget(shown(messages)),
        )
        reserve = min(request.params.max_tokens or _ANSWER_RESERVE, self.context // 4)
        fitting = shown(self.windows.fit(request.messages, reserve, reader))
        self.check_room(self.answerer.count_tokens(fitting))
        return fitting

    async def _summary(self, messages: Sequence[Message], adapter: Adapter | None) -> str:
        has_switch = self.answerer.prompt.template.has_thinking_switch
        request = summary_request(messages, has_thinking_switch=has_switch, adapter=adapter)
        try:
            self.check_room(await self.count(request))
            (running,) = self.open([request])
            return (await _whole(running)).ended.message.content.strip()
        except ContextFull:
            return ""

    def drain(self) -> None:
        """Take no new requests; those that run go on."""
        self.is_draining = True

    def stop_all(self) -> None:
        """Cut what runs: every answer ends with what it has."""
        for running in list(self._running):
            running.stop()

    def close(self) -> None:
        """End what runs, keep where conversations stand if there is a store, and end the threads."""
        self.stop_all()
        for summary in list(self._summaries):  # a thread waits for it, and the event loop may end first
            summary.cancel()
        for threads in (self._idle, self._fitting):
            threads.shutdown(wait=False, cancel_futures=True)
        self.answerer.stop_settling()
        self.batching.close()
        self.answerer.persist()

    def check_room(self, tokens: int) -> None:
        """Raises ContextFull if a prompt of so many tokens does not fit with an answer."""
        if tokens >= self.context:
            raise ContextFull(
                f"[context] the prompt has {tokens} tokens, and {self.context} fit with the answer; shorten the "
                "conversation, or start the server with a larger --context"
            )

    def named(self, name: str) -> list[Running]:
        """What was opened under name and has not ended."""
        return [running for running, known in self._running.items() if known == name]

    def _open(self, starts: Sequence[tuple[Start, AnswerRequest | None]], name: str = "") -> list[Running]:
        if self.is_draining:
            raise HTTPException(503, "the server is shutting down", {"retry-after": "5"})
        opened: list[Running] = []
        for start, request in starts:
            ticket = self.slots.join()
            if ticket is None:
                for running in opened:
                    running.close()
                wait_s = self.slots.retry_after_s
                raise HTTPException(429, f"the line is full; try again in {wait_s} s", {"retry-after": str(wait_s)})
            running = Running(start, ticket, self.batching.caller, partial(self._note_end, request))
            self._running[running] = name
            opened.append(running)
        return opened

    def _note_end(self, request: AnswerRequest | None, running: Running, last: Ended | BaseException | None) -> None:
        self._running.pop(running, None)
        if isinstance(last, Ended):
            self.metrics.answered(last.turn)
            if request is not None and not self.slots.running and last.turn.tokens:
                self._idle.submit(_settle, self.answerer, request, last.message)
        elif last is not None:
            self.metrics.failed()


def _settle(answerer: Answerer, request: AnswerRequest, message: Message) -> None:
    """In idle time, for the next turn; a template that cannot render it only costs that turn its head start."""
    try:
        answerer.settle(request, message)
    except MambinoError as error:
        _log.info("not settled: %s", error)


def _answering(answerer: Answerer, request: AnswerRequest) -> Start:
    return lambda report: answerer.answer(request, on_prompt_progress=report)


def _completing(
    answerer: Answerer,
    ids: Sequence[int],
    params: SamplingParams,
    output: OutputFormat | None,
    adapter: Adapter | None,
) -> Start:
    return lambda report: answerer.complete(ids, params, output=output, adapter=adapter, on_prompt_progress=report)


async def begun(running: Sequence[Running]) -> None:
    """Wait a moment for answers to begin. Raises what any of them raises; all are closed then."""
    try:
        for one in running:
            await one.begin()
    except BaseException:
        for one in running:
            one.close()
        raise


async def whole(request: Request, running: Sequence[Running]) -> list[Answered]:
    """Every answer to its end. Raises HTTPException CLIENT_GONE if the client leaves before; all are closed then."""
    gathering: asyncio.Future[list[Answered]] = asyncio.gather(*(_whole(one) for one in running))
    leaving = asyncio.create_task(until_gone(request.receive))
    try:
        either: list[asyncio.Future[Any]] = [gathering, leaving]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not gathering.done():
            raise HTTPException(CLIENT_GONE, "the client has gone")
        return await gathering
    finally:
        leaving.cancel()
        gathering.cancel()
        for one in running:
            one.close()


async def _whole(running: Running) -> Answered:
    events: list[AnswerEvent] = []
    tokens: list[TokenEvent] = []
    async for item in running:
        if isinstance(item, Piece):
            events.append(item.event)
            tokens += item.tokens
        elif isinstance(item, Ended):
            return Answered(events=tuple(events), tokens=(*tokens, *item.tokens), ended=item)
    raise AssertionError("a running answer ends with Ended or raises")


async def merged(running: Sequence[Running]) -> AsyncGenerator[tuple[int, Item], None]:
    """The items of several answers as they come, each with the index of its answer; raises what any of them raises."""
    waiting = {asyncio.ensure_future(anext(one)): index for index, one in enumerate(running)}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                index = waiting.pop(task)
                item = task.result()
                yield index, item
                if not isinstance(item, Ended):
                    waiting[asyncio.ensure_future(anext(running[index]))] = index
    finally:
        for task in waiting:
            task.cancel()
