"""The route: checks, opens the answers, replies whole or as a stream. Start at chat_completions."""

import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from mambino.server.body import read_body
from mambino.server.chat_completions.reply import FINISH_REASONS, chunk, completion, delta_of, logprobs, timings, usage
from mambino.server.chat_completions.request import CHAT_COMPLETION, ChatCompletion, parse
from mambino.server.problems import openai_error
from mambino.server.reply import EventStream, JsonReply, comment, ignored_header, sse
from mambino.server.running import Ended, Heartbeat, Piece, PromptProgress, Running
from mambino.server.schema import Body
from mambino.server.service import Service, begun, merged, whole

DONE = b"data: [DONE]\n\n"


async def chat_completions(service: Service, request: Request) -> Response:
    """Raises what read_body, parse and Service.open raise, before anything is sent."""
    body = await read_body(request, CHAT_COMPLETION, service.limits.max_body_bytes)
    asked = parse(body, service.defaults, service.batching.config.vocab_size)
    chosen = service.served.chosen(body)
    requests = [replace(one, adapter=chosen.adapter) for one in asked.requests]
    shown = (await service.fitted(requests[0])).messages
    completion_id = f"chatcmpl-{uuid.uuid4().hex}"
    running = service.open([replace(one, messages=shown) for one in requests], completion_id)
    head: Body = {"id": completion_id, "created": int(time.time()), "model": chosen.id}
    headers = ignored_header(CHAT_COMPLETION.ignored(body))
    if asked.streams:
        await begun(running)
        return EventStream(_chunks(service, head, asked, running), running, headers)
    answers = await whole(request, running)
    tokenizer = service.answerer.tokenizer if asked.has_logprobs else None
    return JsonReply(completion(head, answers, tokenizer), headers=headers)


async def _chunks(
    service: Service, head: Body, asked: ChatCompletion, running: Sequence[Running]
) -> AsyncGenerator[bytes, None]:
    """The events of a stream, errors included."""
    ended: dict[int, Ended] = {}
    try:
        for index in range(len(running)):
            yield sse(chunk(head, index, {"role": "assistant", "content": ""}))
        async with aclosing(merged(running)) as items:
            async for index, item in items:
                match item:
                    case Heartbeat():
                        yield comment(f"waiting behind {item.waiting}" if item.waiting else "working")
                    case PromptProgress():
                        yield (
                            _progress(head, item, index)
                            if asked.streams_progress
                            else comment(f"prompt {item.done} of {item.total}")
                        )
                    case Piece():
                        delta = delta_of(item.event)
                        if delta is not None:
                            spoken = logprobs(item.tokens, service.answerer.tokenizer) if asked.has_logprobs else None
                            yield sse(chunk(head, index, delta, logprobs=spoken))
                    case Ended():
                        ended[index] = item
                        reason = FINISH_REASONS[item.turn.finish_reason]
                        rest = logprobs(item.tokens, service.answerer.tokenizer) if asked.has_logprobs else None
                        yield sse(
                            {**chunk(head, index, {}, logprobs=rest, finish_reason=reason), "timings": timings(item)}
                        )
        if asked.includes_usage:
            turns = [ended[index].turn for index in sorted(ended)]
            yield sse({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage(turns)})
        yield DONE
    except Exception as error:  # the reply has begun: the stream is the only place left to say so
        yield sse(openai_error(error))


def _progress(head: Body, progress: PromptProgress, index: int) -> bytes:
    state = {"done": progress.done, "total": progress.total}
    return sse({**chunk(head, index, {}), "prompt_progress": state})
