"""Answers as chat completions, whole and in chunks. Values in, JSON out. Start at completion."""

import json
from collections.abc import Mapping, Sequence

from mambino.chat.events import AnswerEvent, CallArguments, CallEnded, CallStarted, TextPart
from mambino.chat.messages import ToolCall
from mambino.chat.turn import Turn
from mambino.generation.generate import TokenEvent
from mambino.server.running import Ended
from mambino.server.schema import Body
from mambino.server.service import Answered
from mambino.tokenizer.tokenizer import Tokenizer

FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "context": "length",
    "tool_calls": "tool_calls",
    "interrupted": "length",  # cut by the server: the reader is too slow, or the server ends
}


def completion(head: Body, answers: Sequence[Answered], tokenizer: Tokenizer | None) -> Body:
    """The reply to a request without streaming. head: id, created, model; tokenizer None leaves logprobs out."""
    return {
        **head,
        "object": "chat.completion",
        "choices": [_choice(index, answered, tokenizer) for index, answered in enumerate(answers)],
        "usage": usage([answered.ended.turn for answered in answers]),
        "timings": timings(answers[0].ended),
    }


def _choice(index: int, answered: Answered, tokenizer: Tokenizer | None) -> Body:
    message = answered.ended.message
    calls = [_call(call) for call in message.tool_calls]
    repairs = repairs_of(answered.events)
    return {
        "index": index,
        "message": {
            "role": "assistant",
            "content": None if calls and not message.content else message.content,
            **({"reasoning_content": message.reasoning} if message.reasoning is not None else {}),
            **({"tool_calls": calls} if calls else {}),
        },
        "logprobs": None if tokenizer is None else logprobs(answered.tokens, tokenizer),
        "finish_reason": FINISH_REASONS[answered.ended.turn.finish_reason],
        **({"repairs": repairs} if repairs else {}),
    }


def _call(call: ToolCall) -> Body:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def repairs_of(events: Sequence[AnswerEvent]) -> list[str]:
    """What the parser had to restore in calls, in words."""
    return [repair for event in events if isinstance(event, CallEnded) for repair in event.repairs]


def chunk(
    head: Body,
    index: int,
    delta: Mapping[str, object],
    *,
    logprobs: Body | None = None,
    finish_reason: str | None = None,
) -> Body:
    """One event of a stream, about choice index."""
    one = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
    return {**head, "object": "chat.completion.chunk", "choices": [one]}


def delta_of(event: AnswerEvent) -> Body | None:
    """What an event adds to the message; None for the end of a call, which adds nothing."""
    match event:
        case TextPart():
            return {"content" if event.kind == "content" else "reasoning_content": event.text}
        case CallStarted():
            function = {"name": event.name, "arguments": ""}
            return {"tool_calls": [{"index": event.index, "id": event.id, "type": "function", "function": function}]}
        case CallArguments():
            return {"tool_calls": [{"index": event.index, "function": {"arguments": event.text}}]}
        case CallEnded():
            return None


def usage(turns: Sequence[Turn]) -> Body:
    """Tokens of a request: its prompt once, the completions of all its choices."""
    first = turns[0]
    completion_tokens = sum(len(turn.tokens) for turn in turns)
    return {
        "prompt_tokens": first.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": first.prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": first.reused_tokens},
        "completion_tokens_details": {"reasoning_tokens": sum(turn.reasoning_tokens for turn in turns)},
    }


def timings(ended: Ended) -> Body:
    """Our own addition: how fast it was, and why the cached beginning of the prompt ended where it did."""
    turn = ended.turn
    return {
        "prompt_s": round(turn.prompt_s, 4),
        "decode_s": round(turn.decode_s, 4),
        "tokens_per_s": round(turn.decode_tokens_per_s, 2),
        "finish_reason": turn.finish_reason,
        "cache_note": ended.note,
    }


def logprobs(tokens: Sequence[TokenEvent], tokenizer: Tokenizer) -> Body:
    """OpenAI's logprobs object for tokens of the content; a token that only ended the answer is left out."""
    spoken = [token for token in tokens if not isinstance(token.stop, int)]
    return {
        "content": [
            {
                **_logprob(token.id, token.logprob or 0.0, tokenizer),
                "top_logprobs": [_logprob(other, value, tokenizer) for other, value in token.top_logprobs],
            }
            for token in spoken
        ],
        "refusal": None,
    }


def _logprob(token_id: int, logprob: float, tokenizer: Tokenizer) -> Body:
    spelled = tokenizer.token_bytes(token_id)
    return {"token": spelled.decode("utf-8", "replace"), "logprob": max(logprob, -9999.0), "bytes": list(spelled)}
