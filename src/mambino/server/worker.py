"""Continuous batching: many threads extend their own sequences, one thread serves them all with few passes.

BatchingLM is a LanguageModel around another one, so what runs above it is ordinary code that never learns of its
neighbours. No HTTP and no asyncio here. Start at BatchingLM; _next_pass decides who shares a pass.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.lm import (
    Adapter,
    Float32Array,
    Int32Array,
    LanguageModel,
    SequenceState,
    Snapshot,
    check_room,
    check_tokens,
)

SHORT_TOKENS = 8  # up to here an extend is a step of a running answer, not a prompt: it is never cut
LARGEST_PIECE = 512  # prompt tokens in one pass while others wait
SMALLEST_PIECE = 32
PATIENCE_S = 0.15  # how long running answers may wait for a piece of somebody's prompt
LINGER_S = 0.02  # longest wait for running answers to come back with their next token


@dataclass(slots=True, eq=False)
class _Job:
    """One extend: done holds the logits of its last token, or the error."""

    state: SequenceState
    tokens: Int32Array
    start: int = 0  # tokens absorbed
    logits: Float32Array | None = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def remaining(self) -> int:
        return len(self.tokens) - self.start


@dataclass(slots=True, kw_only=True)
class PassCounts:
    """What the worker has done since the start: sequences / passes is the mean batch."""

    passes: int = 0
    sequences: int = 0
    tokens: int = 0
    busy_s: float = 0.0


class BatchingLM:
    """A LanguageModel whose extend may be called from many threads at once, each with a state of its own.

    Calls that wait at the same time share passes of model.extend_many. A long prompt is cut while others wait, so that
    they wait for a piece of it at most, and taken whole when it is alone. Everything else that a model does has the
    model to itself. close() ends the worker thread.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._jobs: list[_Job] = []
        self._callers = 0
        self._changed = threading.Condition()
        self._running_model = threading.Lock()
        self._is_closed = False
        self._prompt_tokens_per_s = LARGEST_PIECE / PATIENCE_S
        self._last_pass_s = 0.0
        self.counts = PassCounts()
        self._thread = threading.Thread(target=self._work, name="mambino-model", daemon=True)
        self._thread.start()

    @property
    def config(self) -> HybridConfig:
        return self._model.config

    def new_state(self, max_tokens: int, adapter: Adapter | None = None) -> SequenceState:
        return self._model.new_state(max_tokens, adapter)

    def extend(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        logits: Float32Array = self.extend_many([state], [tokens])[0]
        return logits

    def extend_many(self, states: Sequence[SequenceState], tokens: Sequence[Int32Array]) -> Float32Array:
        if not states or len(states) != len(tokens) or len({id(state) for state in states}) != len(states):
            raise InputError("[batch] expected one token array for each of several distinct states")
        jobs = [
            _Job(state, check_tokens(one, self.config.vocab_size)) for state, one in zip(states, tokens, strict=True)
        ]
        for job in jobs:
            check_room(job.state, len(job.tokens))
        with self._changed:
            if self._is_closed:
                raise InputError("[batch] the server is shutting down")
            self._jobs += jobs
            self._changed.notify_all()
        return np.stack([_result(job) for job in jobs])

    def score(self, tokens: Int32Array) -> Float32Array:
        with self._running_model:
            return self._model.score(tokens)

    def verify(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        with self._running_model:
            return self._model.verify(state, tokens)

    def accept(self, state: SequenceState, count: int) -> None:
        with self._running_model:
            self._model.accept(state, count)

    def pack(self, snapshot: Snapshot) -> bytes | bytearray:
        return self._model.pack(snapshot)

    def unpack(self, data: bytes | bytearray | memoryview) -> Snapshot:
        return self._model.unpack(data)

    @contextmanager
    def caller(self) -> Iterator[None]:
        """Announce a thread that will extend again and again: passes wait a moment for it, to be shared."""
        with self._changed:
            self._callers += 1
        try:
            yield
        finally:
            with self._changed:
                self._callers -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """End the worker; calls that still wait raise InputError. May be called twice."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._is_closed)
                if self._is_closed:
                    break
                linger = min(LINGER_S, self._last_pass_s / 2)
                self._changed.wait_for(lambda: len(self._jobs) >= self._callers or self._is_closed, timeout=linger)
                chosen = self._next_pass()
            self._run(chosen)
            with self._changed:
                self._jobs = [job for job in self._jobs if not job.done.is_set()]
        with self._changed:
            for job in self._jobs:
                job.error = InputError("[batch] the server is shutting down")
                job.done.set()

    def _next_pass(self) -> list[tuple[_Job, Int32Array]]:
        """Every short job, and of one long job as much as the others can wait for. Mutates the order of jobs."""
        short = [(job, job.tokens[job.start :]) for job in self._jobs if job.remaining <= SHORT_TOKENS]
        long = next((job for job in self._jobs if job.remaining > SHORT_TOKENS), None)
        if long is None:
            return short
        self._jobs.remove(long)
        self._jobs.append(long)  # the next long one has its turn next
        is_alone = len(self._jobs) == 1 and self._callers <= 1
        size = long.remaining if is_alone else self._piece_tokens()
        return [*short, (long, long.tokens[long.start : long.start + size])]

    def _piece_tokens(self) -> int:
        fitting = int(self._prompt_tokens_per_s * PATIENCE_S)
        return max(SMALLEST_PIECE, min(LARGEST_PIECE, fitting - fitting % SMALLEST_PIECE))

    def _run(self, chosen: list[tuple[_Job, Int32Array]]) -> None:
        started = time.perf_counter()
        try:
            with self._running_model:
                logits = self._model.extend_many([job.state for job, _ in chosen], [piece for _, piece in chosen])
        except Exception as error:  # whatever one sequence suffers from is no other's business
            if len(chosen) > 1:
                for one in chosen:
                    self._run([one])
            else:
                chosen[0][0].error = error
                chosen[0][0].done.set()
            return
        self._count(chosen, time.perf_counter() - started)
        for (job, piece), row in zip(chosen, logits, strict=True):
            job.start += len(piece)
            if not job.remaining:
                job.logits = row
                job.done.set()

    def _count(self, chosen: list[tuple[_Job, Int32Array]], elapsed_s: float) -> None:
        tokens = sum(len(piece) for _, piece in chosen)
        self._last_pass_s = elapsed_s
        if tokens >= SMALLEST_PIECE and elapsed_s > 0:
            self._prompt_tokens_per_s += 0.3 * (tokens / elapsed_s - self._prompt_tokens_per_s)
        counts = self.counts
        counts.passes += 1
        counts.sequences += len(chosen)
        counts.tokens += tokens
        counts.busy_s += elapsed_s


def _result(job: _Job) -> Float32Array:
    job.done.wait()
    if job.error is not None:
        raise job.error
    assert job.logits is not None
    return job.logits
