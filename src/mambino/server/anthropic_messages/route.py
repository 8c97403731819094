"""The routes: messages, whole or as a stream, and counting tokens. Start at messages."""

import uuid
from collections.abc import AsyncGenerator
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from mambino.server.anthropic_messages.reply import Blocks, closing, message, opening
from mambino.server.anthropic_messages.request import COUNT, MESSAGES, parse
from mambino.server.body import read_body
from mambino.server.problems import anthropic_error
from mambino.server.reply import EventStream, JsonReply, comment, ignored_header, sse
from mambino.server.running import Ended, Heartbeat, Piece, PromptProgress, Running
from mambino.server.schema import Body
from mambino.server.service import Service, begun, whole


async def messages(service: Service, request: Request) -> Response:
    """Raises what read_body, parse and Service.open raise, before anything is sent."""
    body = await read_body(request, MESSAGES, service.limits.max_body_bytes)
    asked = parse(body, service.defaults, service.batching.config.vocab_size)
    chosen = service.served.chosen(body)
    running = service.open([await service.fitted(replace(asked.request, adapter=chosen.adapter))])
    head: Body = {"id": f"msg_{uuid.uuid4().hex}", "model": chosen.id}
    headers = ignored_header(MESSAGES.ignored(body))
    if asked.streams:
        await begun(running)
        return EventStream(_events(head, running[0]), running, headers)
    answers = await whole(request, running)
    return JsonReply(message(head, answers[0]), headers=headers)


async def count_tokens(service: Service, request: Request) -> Response:
    """POST /v1/messages/count_tokens."""
    body = await read_body(request, COUNT, service.limits.max_body_bytes)
    asked = parse(body, service.defaults, service.batching.config.vocab_size)
    request_ = replace(asked.request, adapter=service.served.chosen(body).adapter)
    return JsonReply({"input_tokens": await service.count(request_)})


async def _events(head: Body, running: Running) -> AsyncGenerator[bytes, None]:
    """The events of a stream, errors included."""
    blocks = Blocks()
    try:
        yield _named({"type": "message_start", "message": opening(head)})
        async for item in running:
            match item:
                case Heartbeat():
                    yield _named({"type": "ping"})
                case PromptProgress():
                    yield comment(f"prompt {item.done} of {item.total}")
                case Piece():
                    for event in blocks.feed(item.event):
                        yield _named(event)
                case Ended():
                    for event in blocks.finish():
                        yield _named(event)
                    yield _named(closing(item))
        yield _named({"type": "message_stop"})
    except Exception as error:  # the reply has begun: the stream is the only place left to say so
        yield _named(anthropic_error(error))


def _named(event: Body) -> bytes:
    return sse(event, event=str(event["type"]))
