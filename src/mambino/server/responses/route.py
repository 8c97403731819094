"""The routes: make a response, whole or as a stream; read it again; delete it. Start at responses."""

import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import replace
from itertools import count

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from mambino.server.body import read_body
from mambino.server.problems import openai_error
from mambino.server.reply import EventStream, JsonReply, comment, ignored_header, sse
from mambino.server.responses.reply import Output, finished, output_items, shell
from mambino.server.responses.request import RESPONSE, ResponseRequest, parse
from mambino.server.responses.store import Stored
from mambino.server.running import Ended, Heartbeat, Piece, PromptProgress, Running
from mambino.server.schema import Body
from mambino.server.service import Service, begun, whole


async def responses(service: Service, request: Request) -> Response:
    """Raises what read_body, parse and Service.open raise, and HTTPException 404, before anything is sent."""
    body = await read_body(request, RESPONSE, service.limits.max_body_bytes)
    previous = body.get("previous_response_id")
    earlier = () if previous is None else _stored(service, str(previous)).messages
    asked = parse(body, earlier, service.defaults, service.batching.config.vocab_size)
    chosen = service.served.chosen(body)
    running = service.open([await service.fitted(replace(asked.request, adapter=chosen.adapter))])
    head: Body = {"id": f"resp_{uuid.uuid4().hex}", "created_at": int(time.time()), "model": chosen.id}
    empty = shell(head, body)
    headers = ignored_header(RESPONSE.ignored(body))
    if asked.streams:
        await begun(running)
        return EventStream(_events(service, asked, empty, running[0]), running, headers)
    answered = (await whole(request, running))[0]
    reply = finished(empty, output_items(str(empty["id"]), answered.events), answered.ended)
    return JsonReply(_keep(service, asked, reply, answered.ended), headers=headers)


async def response(service: Service, request: Request) -> Response:
    """GET /v1/responses/ID. Raises HTTPException 404."""
    return JsonReply(_stored(service, request.path_params["id"]).reply)


async def delete_response(service: Service, request: Request) -> Response:
    """DELETE /v1/responses/ID. Raises HTTPException 404."""
    response_id = request.path_params["id"]
    _stored(service, response_id)
    service.responses.delete(response_id)
    return JsonReply({"id": response_id, "object": "response", "deleted": True})


def _stored(service: Service, response_id: str) -> Stored:
    stored = service.responses.get(response_id)
    if stored is None:
        raise HTTPException(404, f"no response {response_id[:80]!r} is kept here: send the whole conversation as input")
    return stored


def _keep(service: Service, asked: ResponseRequest, reply: Body, ended: Ended) -> Body:
    if asked.stores:
        service.responses.put(str(reply["id"]), Stored(messages=(*asked.messages, ended.message), reply=reply))
    return reply


async def _events(
    service: Service, asked: ResponseRequest, empty: Body, running: Running
) -> AsyncGenerator[bytes, None]:
    """The events of a stream, errors included."""
    output = Output(str(empty["id"]))
    numbers = count()

    def numbered(event: Body) -> bytes:
        return sse({**event, "sequence_number": next(numbers)}, event=str(event["type"]))

    try:
        yield numbered({"type": "response.created", "response": empty})
        yield numbered({"type": "response.in_progress", "response": empty})
        async for item in running:
            match item:
                case Heartbeat():
                    yield comment("working")
                case PromptProgress():
                    yield comment(f"prompt {item.done} of {item.total}")
                case Piece():
                    for event in output.feed(item.event):
                        yield numbered(event)
                case Ended():
                    for event in output.finish():
                        yield numbered(event)
                    reply = _keep(service, asked, finished(empty, output.items, item), item)
                    yield numbered({"type": f"response.{reply['status']}", "response": reply})
    except Exception as error:  # the reply has begun: the stream is the only place left to say so
        failed = {**empty, "status": "failed", **openai_error(error)}
        yield numbered({"type": "response.failed", "response": failed})
