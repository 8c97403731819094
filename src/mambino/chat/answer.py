"""A running answer: absorb what is new, generate, and split what comes into events.

Made by answering.Answerer, which chose the state and the pieces of the prompt. Start at Answer.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from mambino.chat.absorbed import AbsorbedText
from mambino.chat.events import AnswerEvent, CallEnded, TextPart
from mambino.chat.messages import Message
from mambino.chat.spelling import Spelling
from mambino.chat.turn import Turn
from mambino.generation.closing import Closing
from mambino.generation.constraint import Constraint
from mambino.generation.generate import Decoder, Generation, generate
from mambino.generation.params import SamplingParams
from mambino.generation.speculate import Speculation
from mambino.lm import LanguageModel

Progress = Callable[[int, int], None]  # (prompt tokens absorbed, prompt tokens to absorb)


class Parser(Protocol):
    """Text of an answer to events (stream.AnswerParser)."""

    @property
    def is_reasoning(self) -> bool: ...
    def feed(self, text: str, /) -> Sequence[AnswerEvent]: ...
    def finish(self) -> Sequence[AnswerEvent]: ...


class PlainText:
    """The parser of bare completions: everything is content."""

    is_reasoning = False

    def feed(self, text: str, /) -> Sequence[AnswerEvent]:
        return [TextPart(kind="content", text=text)] if text else []

    def finish(self) -> Sequence[AnswerEvent]:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an answer needs, whichever state it runs in.

    text      the prompt, spelled by spelling;  marks: places in it that are worth a snapshot
    shared    where the part of text ends that many conversations begin with; a mark up to there lasts
    remember  called with a message and the text that it was generated as, if it ended by itself
    """

    text: str
    spelling: Spelling
    params: SamplingParams
    decoder: Decoder
    parser: Parser
    marks: Sequence[int] = ()
    shared: int = 0
    constraint: Constraint | None = None
    end_thinking: Callable[[], None] | None = None
    remember: Callable[[Message, str], None] | None = None
    on_progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """The state that an answer runs in.

    pieces    the parts of the prompt yet to absorb, each worth a mark but the last, which generation absorbs
    give_back called once, when the slot is free again
    note      says why not more was remembered; asked at most once
    """

    model: LanguageModel
    slot: AbsorbedText
    pieces: Sequence[tuple[str, list[int]]]
    speculation: Speculation | None
    give_back: Callable[[], None]
    note: Callable[[], str]


class _StoppedError(Exception):
    """stop() was called while the prompt was being absorbed."""


class Answer(Closing, Iterator[AnswerEvent]):
    """Iterate over it, or close it early (it is a context manager). One thread iterates; stop() is safe from any."""

    def __init__(self, plan: Plan, seat: Seat) -> None:
        """Use Answerer.answer instead."""
        self._plan = plan
        self._seat = seat
        self._is_stopping = threading.Event()
        self._is_open = True
        reused = len(seat.slot.ids)
        self._total = sum(len(ids) for _, ids in seat.pieces)
        self.turn = Turn(prompt_tokens=reused + self._total, reused_tokens=reused)
        self._parts: list[AnswerEvent] = []
        self._events = self._run()

    @cached_property
    def note(self) -> str:
        """Why not more of the prompt was remembered; "" if all but the new message was."""
        return self._seat.note()

    @property
    def message(self) -> Message | None:
        """What was answered so far; None before the first token."""
        if not self.turn.tokens:
            return None
        calls = tuple(part.call for part in self._parts if isinstance(part, CallEnded))
        reasoning = self._joined("reasoning")
        return Message(role="assistant", content=self._joined("content"), reasoning=reasoning or None, tool_calls=calls)

    def _joined(self, kind: str) -> str:
        return "".join(part.text for part in self._parts if isinstance(part, TextPart) and part.kind == kind)

    def stop(self) -> None:
        """End the answer soon: within a token, or a chunk of the prompt. Safe from signals and threads."""
        self._is_stopping.set()

    def end_thinking(self) -> None:
        """Close the reasoning now and answer; nothing happens outside reasoning. Safe from signals and threads."""
        if self._plan.end_thinking is not None:
            self._plan.end_thinking()

    def __next__(self) -> AnswerEvent:
        return next(self._events)

    def close(self) -> None:
        """End the answer here and free its state. May be called twice."""
        self._events.close()
        self._release()  # a generator that never started has no finally

    def _release(self) -> None:
        if self._is_open:
            self._is_open = False
            self._seat.give_back()

    def _run(self) -> Generator[AnswerEvent, None, None]:
        started = time.perf_counter()
        try:
            self._absorb()
            yield from self._generate(started)
        except _StoppedError:
            return
        finally:
            self._release()

    def _absorb(self) -> None:
        """Everything but the last piece, with a mark at the end of each."""
        done = 0
        slot, plan = self._seat.slot, self._plan

        def report(count: int) -> None:
            nonlocal done
            done += count
            self._report(done)

        report(0)
        for text, ids in self._seat.pieces[:-1]:
            slot.extend(text, ids, plan.spelling, report)
            slot.mark(keep="lasting" if len(slot.text) <= plan.shared else "passing")

    def _report(self, done: int) -> None:
        if self._plan.on_progress is not None:
            self._plan.on_progress(done, self._total)
        if self._is_stopping.is_set():
            raise _StoppedError

    def _generate(self, started: float) -> Generator[AnswerEvent, None, None]:
        plan, turn, parser = self._plan, self.turn, self._plan.parser
        generation = self._generation()
        try:
            for event in generation:
                turn.count(event, is_reasoning=parser.is_reasoning, elapsed_s=time.perf_counter() - started)
                yield from self._take(parser.feed(event.text))
                if self._is_stopping.is_set() or event.finish_reason is not None:
                    turn.finish_reason = event.finish_reason or "interrupted"
                    break
            yield from self._take(parser.finish())
            if turn.finish_reason == "stop" and any(isinstance(part, CallEnded) for part in self._parts):
                turn.finish_reason = "tool_calls"
        finally:
            generation.close()
            self._seat.slot.note_generated(generation.absorbed, plan.spelling)
            self._parts += parser.finish()
            self._remember(generation.completion)

    def _remember(self, completion: Sequence[int]) -> None:
        message = self.message
        ended_itself = bool(self.turn.tokens) and isinstance(self.turn.tokens[-1].stop, int)
        if self._plan.remember is not None and message is not None and ended_itself:
            self._plan.remember(message, self._plan.spelling.decode(completion[:-1]))

    def _take(self, events: Sequence[AnswerEvent]) -> Sequence[AnswerEvent]:
        self._parts += events
        return events

    def _generation(self) -> Generation:
        plan, seat = self._plan, self._seat
        last = seat.pieces[-1][1]

        def report(done: int, count: int) -> None:
            self._report(self._total - count + done)

        return generate(
            seat.model,
            seat.slot.state,
            last,
            plan.params,
            decoder=plan.decoder,
            history=seat.slot.ids,
            constraint=plan.constraint,
            on_prompt_progress=report,
            speculation=seat.speculation,
        )
