"""The route and its replies. Start at completions."""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from mambino.chat.events import TextPart
from mambino.generation.generate import TokenEvent
from mambino.server.body import read_body
from mambino.server.chat_completions.reply import FINISH_REASONS, timings, usage
from mambino.server.chat_completions.route import DONE
from mambino.server.completions.request import COMPLETION, Completion, parse
from mambino.server.problems import openai_error
from mambino.server.reply import EventStream, JsonReply, comment, ignored_header, sse
from mambino.server.running import Ended, Heartbeat, Piece, PromptProgress, Running
from mambino.server.schema import Body
from mambino.server.service import Answered, Service, begun, merged, whole
from mambino.tokenizer.tokenizer import Tokenizer


async def completions(service: Service, request: Request) -> Response:
    """Raises what read_body, parse and Service raise, before anything is sent."""
    body = await read_body(request, COMPLETION, service.limits.max_body_bytes)
    tokenizer = service.answerer.tokenizer
    asked = await asyncio.to_thread(parse, body, service.defaults, tokenizer, service.batching.config.vocab_size)
    chosen = service.served.chosen(body)
    for ids in asked.prompts:
        service.check_room(len(ids))
    running = service.open_completions(asked.prompts, asked.params, asked.output, chosen.adapter)
    head: Body = {
        "id": f"cmpl-{uuid.uuid4().hex}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": chosen.id,
    }
    headers = ignored_header(COMPLETION.ignored(body))
    if asked.streams:
        await begun(running)
        return EventStream(_chunks(head, asked, running, tokenizer), running, headers)
    answers = await whole(request, running)
    reply = {
        **head,
        "choices": [_choice(index, asked, answered, tokenizer) for index, answered in enumerate(answers)],
        "usage": _usage(asked, [answered.ended for answered in answers]),
        "timings": timings(answers[0].ended),
    }
    return JsonReply(reply, headers=headers)


def _choice(index: int, asked: Completion, answered: Answered, tokenizer: Tokenizer) -> Body:
    has_logprobs = asked.params[0].logprobs is not None
    said = "".join(event.text for event in answered.events if isinstance(event, TextPart))
    return {
        "index": index,
        "text": asked.echoes[index] + said,
        "logprobs": _logprobs(answered.tokens, tokenizer, len(asked.echoes[index])) if has_logprobs else None,
        "finish_reason": FINISH_REASONS[answered.ended.turn.finish_reason],
    }


def _usage(asked: Completion, ended: Sequence[Ended]) -> Body:
    """Every prompt once, every completion."""
    first = [one.turn for one in ended[:: len(asked.params)]]
    counted = usage([one.turn for one in ended])
    prompt_tokens = sum(turn.prompt_tokens for turn in first)
    completion_tokens = sum(len(one.turn.tokens) for one in ended)
    return {**counted, "prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens + completion_tokens}


async def _chunks(
    head: Body, asked: Completion, running: Sequence[Running], tokenizer: Tokenizer
) -> AsyncGenerator[bytes, None]:
    """The events of a stream, errors included."""
    has_logprobs = asked.params[0].logprobs is not None
    offsets = [len(echo) for echo in asked.echoes]
    ended: dict[int, Ended] = {}
    try:
        for index, echo in enumerate(asked.echoes):
            if echo:
                yield sse({**head, "choices": [_delta(index, echo)]})
        async with aclosing(merged(running)) as items:
            async for index, item in items:
                match item:
                    case Heartbeat():
                        yield comment("working")
                    case PromptProgress():
                        yield comment(f"prompt {item.done} of {item.total}")
                    case Piece(event=TextPart(text=said)):
                        spoken = _logprobs(item.tokens, tokenizer, offsets[index]) if has_logprobs else None
                        offsets[index] += len(said)
                        yield sse({**head, "choices": [_delta(index, said, logprobs=spoken)]})
                    case Ended():
                        ended[index] = item
                        reason = FINISH_REASONS[item.turn.finish_reason]
                        yield sse({**head, "choices": [_delta(index, "", reason=reason)], "timings": timings(item)})
        if asked.includes_usage:
            yield sse({**head, "choices": [], "usage": _usage(asked, [ended[index] for index in sorted(ended)])})
        yield DONE
    except Exception as error:  # the reply has begun: the stream is the only place left to say so
        yield sse(openai_error(error))


def _delta(index: int, said: str, *, logprobs: Body | None = None, reason: str | None = None) -> Body:
    return {"index": index, "text": said, "logprobs": logprobs, "finish_reason": reason}


def _logprobs(tokens: Sequence[TokenEvent], tokenizer: Tokenizer, start: int) -> Body:
    """The API's four parallel lists; start is where the text of the first token stands."""
    spoken = [token for token in tokens if not isinstance(token.stop, int)]
    texts = [tokenizer.decode([token.id]) for token in spoken]
    offsets = [start]
    for one in texts:
        offsets.append(offsets[-1] + len(one))
    return {
        "tokens": texts,
        "token_logprobs": [token.logprob for token in spoken],
        "top_logprobs": [
            {tokenizer.decode([other]): max(value, -9999.0) for other, value in token.top_logprobs} for token in spoken
        ],
        "text_offset": offsets[:-1],
    }
