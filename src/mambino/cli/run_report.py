"""One answer of `mambino run` for programs: a JSON object, or a table of log-probabilities. Start at report."""

import json
from collections.abc import Sequence

from mambino.chat.events import TextPart
from mambino.chat.turn import Turn
from mambino.cli.opening import Opened
from mambino.cli.sampling import ChosenSampling
from mambino.generation.generate import TokenEvent
from mambino.tokenizer.tokenizer import Tokenizer


def report(opened: Opened, sampling: ChosenSampling, parts: Sequence[TextPart], turn: Turn) -> dict[str, object]:
    """Everything about one answer, as JSON values."""
    reasoning = "".join(part.text for part in parts if part.kind == "reasoning")
    document: dict[str, object] = {
        "model": opened.name,
        "text": "".join(part.text for part in parts if part.kind == "content"),
        "reasoning": reasoning or None,
        "ids": [event.id for event in turn.tokens],
        "finish_reason": turn.finish_reason,
        "stop": turn.tokens[-1].stop if turn.tokens else None,
        "usage": {
            "prompt_tokens": turn.prompt_tokens,
            "completion_tokens": len(turn.tokens),
            "reasoning_tokens": turn.reasoning_tokens,
            "total_tokens": turn.prompt_tokens + len(turn.tokens),
            "context": opened.context,
        },
        "timings": {
            "load_s": round(opened.load_s, 6),
            "prompt_s": round(turn.prompt_s, 6),
            "decode_s": round(turn.decode_s, 6),
            "prompt_tokens_per_s": round(turn.prompt_tokens_per_s, 3),
            "decode_tokens_per_s": round(turn.decode_tokens_per_s, 3),
        },
        "sampling": sampling.to_json(),
    }
    if sampling.params.logprobs is not None:
        document["logprobs"] = [_logprob_json(event, opened.tokenizer) for event in turn.tokens]
    return document


def _logprob_json(event: TokenEvent, tokenizer: Tokenizer) -> dict[str, object]:
    return {
        "id": event.id,
        "text": tokenizer.decode([event.id]),
        "logprob": event.logprob,
        "top": [
            {"id": token, "text": tokenizer.decode([token]), "logprob": logprob}
            for token, logprob in event.top_logprobs
        ],
    }


def logprob_line(event: TokenEvent, tokenizer: Tokenizer) -> str:
    """logprob, token, and its rivals; tab-separated, tokens as JSON strings so that a line stays a line."""

    def shown(token: int) -> str:
        return json.dumps(tokenizer.decode([token]), ensure_ascii=False)

    rivals = "  ".join(f"{shown(token)} {logprob:.3f}" for token, logprob in event.top_logprobs)
    logprob = 0.0 if event.logprob is None else event.logprob
    return f"{logprob:.3f}\t{shown(event.id)}\t{rivals}".rstrip()
