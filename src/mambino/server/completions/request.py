"""The body of a completion: its schema, and what it asks of the model. Start at parse."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from mambino.chat.request import OutputFormat
from mambino.errors import InputError
from mambino.generation.params import SamplingParams
from mambino.server.asked import GUIDED, HARMLESS, MAX_CHOICES, SAMPLING, guided_of, sampling_of, several
from mambino.server.schema import Body, Checker, choice, either, fields, flag, ignored, integer, listed, optional, text
from mambino.server.served import CHOICE
from mambino.tokenizer.tokenizer import Tokenizer

MAX_PROMPTS = 16
DEFAULT_MAX_TOKENS = 16  # the API's own
_IDS = listed({"type": "integer", "minimum": 0}, minItems=1)

COMPLETION = Checker(
    fields(
        {
            **CHOICE,
            "prompt": either(
                text(minLength=1),
                _IDS,
                listed(text(minLength=1), minItems=1, maxItems=MAX_PROMPTS),
                listed(_IDS, minItems=1, maxItems=MAX_PROMPTS),
            ),
            **SAMPLING,
            **GUIDED,
            "max_tokens": integer(1, 2**31),
            "n": integer(1, MAX_CHOICES),
            "best_of": optional(choice(1)),
            "logprobs": integer(0, 20),
            "echo": flag(),
            "stream": flag(),
            "stream_options": optional(fields({"include_usage": flag(), "include_obfuscation": ignored()})),
            **HARMLESS,
        },
        ["prompt"],
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Every prompt is continued once for each of params; echoes are what stands before each answer's text."""

    prompts: tuple[tuple[int, ...], ...]
    params: tuple[SamplingParams, ...]
    echoes: tuple[str, ...]
    output: OutputFormat | None
    streams: bool
    includes_usage: bool


def parse(body: Body, defaults: SamplingParams, tokenizer: Tokenizer, vocab_size: int) -> Completion:
    """A checked body as values. Raises InputError."""
    limit = cast(int, body.get("max_tokens", DEFAULT_MAX_TOKENS))
    params = sampling_of(body, defaults, max_tokens=limit, vocab_size=vocab_size)
    ends = dict.fromkeys((*params.stop_token_ids, *tokenizer.eos_token_ids))
    params = replace(params, logprobs=cast("int | None", body.get("logprobs")), stop_token_ids=tuple(ends))
    prompts = tuple(_ids(prompt, tokenizer, vocab_size) for prompt in _listed(body["prompt"]))
    count = cast(int, body.get("n", 1))
    options = cast(Body, body.get("stream_options", {}))
    echoes = [tokenizer.decode(ids, skip_special=True) if body.get("echo") else "" for ids in prompts]
    return Completion(
        prompts=prompts,
        params=tuple(several(params, count)),
        echoes=tuple(echo for echo in echoes for _ in range(count)),
        output=guided_of(body, None),
        streams=bool(body.get("stream")),
        includes_usage=bool(options.get("include_usage")),
    )


def _listed(prompt: object) -> Sequence[object]:
    """The prompts: text and ids stand alone or in a list."""
    is_one = isinstance(prompt, str) or isinstance(cast(Sequence[object], prompt)[0], int)
    return [prompt] if is_one else cast(Sequence[object], prompt)


def _ids(prompt: object, tokenizer: Tokenizer, vocab_size: int) -> tuple[int, ...]:
    if isinstance(prompt, str):
        add_bos = tokenizer.wants_bos and tokenizer.bos_token_id is not None
        return tuple(tokenizer.encode(prompt, add_bos=add_bos))
    ids = cast(Sequence[int], prompt)
    outside = next((token for token in ids if token >= min(vocab_size, tokenizer.vocab_size)), None)
    if outside is not None:
        raise InputError(f"[request] prompt: {outside} is not a token; this vocabulary has {vocab_size} ids")
    return tuple(ids)
