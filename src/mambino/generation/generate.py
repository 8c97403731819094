"""The loop: absorb the prompt, then choose, stop or absorb, one token at a time; yields a TokenEvent for each.

Knows only the lm contract; text comes from a decoder that the caller passes. Start at generate.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from mambino.errors import InputError
from mambino.generation.closing import Closing
from mambino.generation.constraint import Constraint
from mambino.generation.params import SamplingParams
from mambino.generation.sampling import Sampler, logprobs
from mambino.generation.speculate import PlainReader, Reader, Speculation, SpeculativeReader
from mambino.generation.stop import Scanned, StopScanner
from mambino.lm import Float32Array, Int32Array, LanguageModel, SequenceState, check_room, check_tokens

FinishReason = Literal["stop", "length", "context"]
PREFILL_CHUNK = 512  # prompt tokens between two progress reports, and the longest wait for Ctrl-C


class Decoder(Protocol):
    """Ids to text, holding back unfinished characters (tokenizer.StreamDecoder is one)."""

    def feed(self, token_id: int, /) -> str: ...
    def finish(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEvent:
    """One token of the completion.

    id             the token; it is part of the completion, even a stop token
    text           text that became certain with it; may be empty, may hold more than this token. "" without a decoder.
                   A stop token's or a stop string's own text never appears
    logprob        log-probability under the model's unmodified distribution (temperature 1, no penalties, no bias)
    top_logprobs   (id, logprob) of the likeliest tokens of that same distribution, likeliest first
    finish_reason  None but for the last event: "stop" (a stop id or string), "length" (max_tokens), "context" (full)
    stop           what stopped it: the id, the string, or None
    """

    id: int
    text: str
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()
    finish_reason: FinishReason | None = None
    stop: int | str | None = None


class Generation(Closing, Iterator[TokenEvent]):
    """A running completion: iterate over it, or close it early (it is a context manager).

    Invariants, at every moment, also after close, Ctrl-C, or an error in the model:
      state.position == its position at the start + len(absorbed)
      absorbed is a beginning of prompt + completion
      the last token of the completion is never absorbed by this loop: its logits are not needed; nor are tokens that
      a constraint forced, until there is a choice to make
    """

    def __init__(
        self, state: SequenceState, prompt: Int32Array, events: Generator[TokenEvent, None, None], chosen: list[int]
    ) -> None:
        """Use generate() instead. chosen is filled by events."""
        self._state = state
        self._start = state.position
        self._prompt = prompt
        self._chosen = chosen
        self._events = events
        self.finish_reason: FinishReason | None = None

    def __next__(self) -> TokenEvent:
        event = next(self._events)
        self.finish_reason = event.finish_reason
        return event

    def close(self) -> None:
        """End the completion here. Nothing more is evaluated. May be called twice."""
        self._events.close()

    @property
    def completion(self) -> tuple[int, ...]:
        """The ids chosen so far, a stop token included."""
        return tuple(self._chosen)

    @property
    def absorbed(self) -> tuple[int, ...]:
        """The ids that the state absorbed since the start, prompt first: what a follow-up need not feed again."""
        count = self._state.position - self._start
        return (*self._prompt.tolist(), *self._chosen)[:count]


def generate(
    model: LanguageModel,
    state: SequenceState,
    prompt: Sequence[int],
    params: SamplingParams,
    *,
    decoder: Decoder | None = None,
    history: Sequence[int] = (),
    constraint: Constraint | None = None,
    on_prompt_progress: Callable[[int, int], None] | None = None,
    prefill_chunk: int = PREFILL_CHUNK,
    speculation: Speculation | None = None,
) -> Generation:
    """Complete prompt; the work is done as the result is iterated over.

    history: ids already in state, which repetition_penalty counts too. on_prompt_progress(absorbed, total) is called
    before the first and after every chunk of the prompt; raising in it ends the completion, with state as described
    at Generation. speculation: guess from the text and verify several tokens in a pass; the same text, sooner.

    Mutates    state (the only thing that does, until the result is closed), decoder, constraint, speculation
    Raises     at once, before anything changes: InputError for an empty prompt, ids outside the vocabulary, or stop
               strings without a decoder; ContextFull if the prompt does not fit
    """
    tokens = check_tokens(np.asarray(prompt), model.config.vocab_size)
    check_room(state, len(tokens))
    if params.stop and decoder is None:
        raise InputError(
            "[generate] stop strings need a decoder; pass decoder=tokenizer.stream(), or use stop_token_ids"
        )
    if prefill_chunk < 1:
        raise InputError(f"[generate] prefill_chunk: expected an integer >= 1, got {prefill_chunk}")
    seen = check_tokens(np.asarray([*history, *tokens.tolist()]), model.config.vocab_size)
    sampler = Sampler(params, model.config.vocab_size, seen)
    chosen: list[int] = []

    def events() -> Generator[TokenEvent, None, None]:
        logits = _absorb_prompt(model, state, tokens, prefill_chunk, on_prompt_progress)
        text = _TextStream(decoder, params.stop)
        room = state.max_tokens - state.position
        reader: Reader = PlainReader(model, state, logits)
        if speculation is not None:
            reader = SpeculativeReader(model, state, logits, speculation, seen.tolist())
        try:
            while True:
                forced = () if constraint is None else constraint.forced()
                if not forced or params.logprobs is not None:
                    logits = reader.logits()
                token = _next_token(sampler, constraint, logits, forced)
                chosen.append(token)
                reader.note(token)
                ending = _ending(token, params, text, len(chosen), is_full=len(chosen) > room)
                yield _event(token, logits, ending, params.logprobs)
                if ending.reason is not None:
                    return
        finally:
            reader.finish()

    return Generation(state, tokens, events(), chosen)


def _next_token(sampler: Sampler, constraint: Constraint | None, logits: Float32Array, forced: Sequence[int]) -> int:
    """The first of forced, or else a choice from logits. Mutates sampler and constraint."""
    if constraint is None:
        return sampler.choose(logits)
    if forced:
        token = forced[0]
        sampler.note(token)
    else:
        token = sampler.choose(logits, constraint.mask(), constraint.bias())
    constraint.advance(token)
    return token


def _absorb_prompt(
    model: LanguageModel,
    state: SequenceState,
    tokens: Int32Array,
    chunk: int,
    on_progress: Callable[[int, int], None] | None,
) -> Float32Array:
    """Logits after the last token. Mutates state, a chunk at a time."""
    if on_progress is not None:
        on_progress(0, len(tokens))
    for start in range(0, len(tokens), chunk):
        part = tokens[start : start + chunk]
        logits = model.extend(state, part)
        if on_progress is not None:
            on_progress(start + len(part), len(tokens))
    return logits


class _TextStream:
    """Token ids to text that may be shown, and to stop strings."""

    def __init__(self, decoder: Decoder | None, stops: Sequence[str]) -> None:
        self._decoder = decoder
        self._scanner = StopScanner(stops)

    def feed(self, token: int) -> Scanned:
        """Mutates self."""
        return Scanned(text="") if self._decoder is None else self._scanner.feed(self._decoder.feed(token))

    def finish(self) -> Scanned:
        """What was held back, unfinished characters too. Mutates self."""
        if self._decoder is None:
            return Scanned(text="")
        last = self._scanner.feed(self._decoder.finish())
        return last if last.stop is not None else Scanned(text=last.text + self._scanner.flush())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    text: str
    reason: FinishReason | None = None
    stop: int | str | None = None


def _ending(token: int, params: SamplingParams, text: _TextStream, count: int, *, is_full: bool) -> _Ending:
    """What becomes of the completion with token, its count-th; is_full: it does not fit any more. Mutates text."""
    if token in params.stop_token_ids:
        return _Ending(text=text.finish().text, reason="stop", stop=token)
    scanned = text.feed(token)
    reason: FinishReason | None = None
    if count == params.max_tokens:
        reason = "length"
    elif is_full:
        reason = "context"
    if scanned.stop is None and reason is not None:
        rest = text.finish()
        scanned = Scanned(text=scanned.text + rest.text, stop=rest.stop)
    if scanned.stop is not None:
        text.finish()  # leaves the decoder ready for other text
        reason = "stop"
    return _Ending(text=scanned.text, reason=reason, stop=scanned.stop)


def _event(token: int, logits: Float32Array, ending: _Ending, num_logprobs: int | None) -> TokenEvent:
    chosen = None if num_logprobs is None else logprobs(logits, token, num_logprobs)
    return TokenEvent(
        id=token,
        text=ending.text,
        logprob=None if chosen is None else chosen.chosen,
        top_logprobs=() if chosen is None else chosen.top,
        finish_reason=ending.reason,
        stop=ending.stop,
    )
