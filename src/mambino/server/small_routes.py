"""Small routes: models, health, metrics, tokenize and detokenize. Each is a few lines; start anywhere."""

import asyncio
from collections.abc import Sequence
from typing import cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mambino.server.body import read_body
from mambino.server.reply import JsonReply
from mambino.server.schema import Body, Checker, fields, flag, listed, text
from mambino.server.served import Choice
from mambino.server.service import Service

TOKENIZE = Checker(fields({"content": text(), "add_special": flag(), "parse_special": flag()}, ["content"]))
DETOKENIZE = Checker(fields({"tokens": listed({"type": "integer", "minimum": 0, "maximum": 2**31})}, ["tokens"]))


async def models(service: Service, request: Request) -> Response:
    """GET /v1/models: the model, then the model with each of its adapters."""
    data = [_model(service, choice) for choice in service.served.choices]
    return JsonReply({"object": "list", "data": data})


async def model(service: Service, request: Request) -> Response:
    """GET /v1/models/NAME. Raises HTTPException 404."""
    choices = {choice.id: choice for choice in service.served.choices}
    choice = choices.get(request.path_params["name"])
    if choice is None:
        raise HTTPException(404, f"there is no such model here; there are: {', '.join(choices)}")
    return JsonReply(_model(service, choice))


def _model(service: Service, choice: Choice) -> Body:
    config = service.batching.config
    return {
        "id": choice.id,
        "object": "model",
        "created": service.started,
        "owned_by": "mambino",
        "context_length": service.context,
        "num_parameters": config.num_parameters,
        "vocab_size": config.vocab_size,
    }


async def tokenize(service: Service, request: Request) -> Response:
    """POST /tokenize: {"content"} -> {"tokens"}."""
    body = await read_body(request, TOKENIZE, service.limits.max_body_bytes)
    tokenizer = service.answerer.tokenizer
    add_bos = bool(body.get("add_special")) and tokenizer.wants_bos and tokenizer.bos_token_id is not None
    content, parse_special = cast(str, body["content"]), bool(body.get("parse_special"))
    ids = await asyncio.to_thread(tokenizer.encode, content, parse_special=parse_special, add_bos=add_bos)
    return JsonReply({"tokens": ids})


async def detokenize(service: Service, request: Request) -> Response:
    """POST /detokenize: {"tokens"} -> {"content"}."""
    body = await read_body(request, DETOKENIZE, service.limits.max_body_bytes)
    return JsonReply({"content": service.answerer.tokenizer.decode(cast(Sequence[int], body["tokens"]))})


async def end_thinking(service: Service, request: Request) -> Response:
    """POST /v1/chat/completions/ID/end_thinking: answer now. ID is the reply's. Raises HTTPException 404."""
    running = service.named(request.path_params["id"])
    if not running:
        raise HTTPException(404, "no such answer is running")
    for one in running:
        one.end_thinking()
    return JsonReply({"id": request.path_params["id"], "ended": True})


async def health(service: Service, request: Request) -> Response:
    """GET /health: 200 while requests are taken, 503 when shutting down."""
    slots = service.slots
    state: Body = {
        "status": "shutting down" if service.is_draining else "ok",
        "model": service.name,
        "slots": {"count": slots.count, "running": slots.running, "waiting": slots.waiting},
    }
    return JsonReply(state, 503 if service.is_draining else 200)


async def metrics(service: Service, request: Request) -> Response:
    """GET /metrics: Prometheus text."""
    content_type = "text/plain; version=0.0.4; charset=utf-8"
    return PlainTextResponse(service.metrics.text(gauges(service)), headers={"content-type": content_type})


def gauges(service: Service) -> dict[str, tuple[str, float]]:
    """What is so right now: name -> (meaning, value)."""
    counts = service.batching.counts
    return {
        "mambino_slots": ("Answers that may run at once.", service.slots.count),
        "mambino_running": ("Answers that run now.", service.slots.running),
        "mambino_waiting": ("Requests in line for a slot.", service.slots.waiting),
        "mambino_state_bytes": ("Bytes of idle states and of all snapshots.", service.answerer.state_nbytes),
        "mambino_snapshot_bytes": ("Bytes of all snapshots.", service.answerer.cache.nbytes),
        "mambino_context_tokens": ("Tokens that fit into one conversation.", service.context),
        "mambino_model_passes": ("Passes over the weights so far.", counts.passes),
        "mambino_model_pass_sequences": (
            "Sequences in all passes so far; by passes it is the mean batch.",
            counts.sequences,
        ),
        "mambino_model_pass_tokens": ("Tokens in all passes so far.", counts.tokens),
        "mambino_model_busy_seconds": ("Time spent in passes so far.", counts.busy_s),
    }
