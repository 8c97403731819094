"""One answer to one request, from whatever the model has absorbed before: the heart of chats and servers.

Renders the request, goes on from the longest remembered beginning, absorbs the rest, generates, and splits the answer
into events. Knows any LanguageModel and its tokenizer; keeps no messages. Start at Answerer.answer.
"""

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

from mambino.chat.absorbed import CHUNK_TOKENS, AbsorbedText
from mambino.chat.answer import Answer, PlainText, Plan, Progress, Seat
from mambino.chat.divergence import explain
from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.chat.rendering import Renderer
from mambino.chat.request import AnswerRequest, OutputFormat
from mambino.chat.slots import Slots
from mambino.chat.spelling import IdSpelling, RenderedSpelling, Spelling
from mambino.chat.steering import constraint_for, constraint_for_output
from mambino.chat.stream import AnswerParser, opens_thinking
from mambino.chat.thinking import ThinkingControl
from mambino.errors import ContextFull
from mambino.generation.params import SamplingParams
from mambino.generation.prefix_cache import Place, SnapshotTree, common_length
from mambino.generation.speculate import Speculation
from mambino.generation.state_store import StateStore
from mambino.lm import Adapter, LanguageModel
from mambino.tokenizer.tokenizer import Tokenizer

DEFAULT_CACHE_NBYTES = 512 * 2**20
WORTH_STORING_TOKENS = 128  # shorter conversations are computed again as fast as they are read
SETTLE_CHUNK = 32  # tokens between two looks at whether a new request waits


class _WantedError(Exception):
    """A request waits for the state that settles."""


class Answerer:
    """A model ready to answer, several requests at a time; all share what was absorbed before.

    Safe between threads, except that one Answer belongs to one thread at a time.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        *,
        context: int,
        slots: int = 1,
        cache: SnapshotTree | None = None,
        store: StateStore | None = None,
        template: str | None = None,
    ) -> None:
        """context: tokens of prompt and answer together. slots: answers that may run at once; each holds one state.

        cache None makes one of DEFAULT_CACHE_NBYTES. template None takes the tokenizer's own; a model without one still
        completes text.
        """
        self.model = model
        self.tokenizer = tokenizer
        self.context = context
        self.cache = SnapshotTree(DEFAULT_CACHE_NBYTES) if cache is None else cache
        self._renderer = Renderer(tokenizer, template)
        self._is_wanted = threading.Event()
        self._slots = Slots(lambda adapter: AbsorbedText(model, context, self.cache, store, adapter), slots)

    @property
    def prompt(self) -> PromptEncoder:
        """The template and how it is encoded. Raises TemplateError if there is none, or it does not parse."""
        return self._renderer.prompt

    @property
    def knows_tools(self) -> bool:
        """Whether the template can tell the model of tools."""
        return self._renderer.wire is not None

    @property
    def state_nbytes(self) -> int:
        """Bytes of idle states and of all snapshots."""
        return self._slots.nbytes + self.cache.nbytes

    def answer(self, request: AnswerRequest, *, on_prompt_progress: Progress | None = None) -> Answer:
        """An answer to request; the work is done as the result is iterated over, which must run out or be closed.

        Raises     at once: TemplateError if the template refuses the messages; ContextFull if they do not fit;
                   InputError for what the model cannot do, or if all slots are answering
        """
        text = self.render(request)
        steering = self._steering(request, text)
        shared, asked = self._renderer.marks(text, request)
        plan = Plan(
            text=text,
            spelling=RenderedSpelling(self.prompt),
            params=self._ending(request.params, self._forbidden(request)),
            decoder=self.tokenizer.stream(),
            parser=AnswerParser(
                wire=self._renderer.wire,
                tools=() if request.tool_choice == "none" else request.tools,
                starts_inside_thinking=opens_thinking(text),
            ),
            marks=(shared, asked),
            shared=shared,
            constraint=steering,
            end_thinking=steering.end_now,
            remember=partial(self._renderer.spoken.remember, text, len(request.messages)),
            on_progress=on_prompt_progress,
        )
        return self._begin(plan, request.adapter, lambda slot: self._note(slot, text, request))

    def complete(
        self,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        output: OutputFormat | None = None,
        adapter: Adapter | None = None,
        on_prompt_progress: Progress | None = None,
    ) -> Answer:
        """A continuation of ids, without any template: content events only. Raises as answer does."""
        constraint = (
            None
            if output is None
            else constraint_for_output(output, tokenizer=self.tokenizer, vocab_size=self.model.config.vocab_size)
        )
        spelling = IdSpelling()
        plan = Plan(
            text=spelling.decode(prompt),
            spelling=spelling,
            params=self._ending(params, ()),
            decoder=self.tokenizer.stream(),
            parser=PlainText(),
            constraint=constraint,
            on_progress=on_prompt_progress,
        )
        return self._begin(plan, adapter, lambda slot: lambda: "")

    def count_tokens(self, request: AnswerRequest) -> int:
        """Tokens of the prompt of request; what is remembered of it counts as it was read. Raises TemplateError."""
        text = self.render(request)
        spelling = RenderedSpelling(self.prompt)
        place = self.cache.best(
            text, lambda one: spelling.joins(one.text, one.ids, text[len(one.text) :]), request.adapter_digest
        )
        if place is None:
            return len(spelling.encode(text))
        return len(place.ids) + len(spelling.encode(text[len(place.text) :]))

    def forget(self, request: AnswerRequest) -> None:
        """Drop what only a conversation with request's messages would come back to: it goes on without some of them."""
        text = self.render(request)
        shared, _ = self._renderer.marks(text, request)
        self.cache.forget(text, beyond=shared, adapter=request.adapter_digest)
        self._slots.leave(text, beyond=shared, adapter=request.adapter_digest)

    def prepare(self, request: AnswerRequest) -> None:
        """Compile what steers answers to such requests: for tools and a large vocabulary, the first takes a second.

        Raises     InputError as answer does
        """
        self._steering(request, "")

    def warm(
        self, request: AnswerRequest, *, on_progress: Progress | None = None, on_disk: bool = False
    ) -> Place | None:
        """Absorb what all conversations that begin with request's messages share, and keep it for good.

        The place, or None for a template without control tokens, where nothing is certain to be shared.

        Mutates    the cache: the place is pinned, if it fits under the cap; if on_disk it is also stored
        """
        self.prepare(request)
        text = self._renderer.stable(request)
        if not text:
            return None
        slot = self._take(text, request.adapter)
        try:
            if slot.text != text:
                self._absorb_all(slot, text, on_progress)
            slot.mark(keep="pinned", on_disk=on_disk)
            return slot.place()
        finally:
            self._slots.give_back(slot)

    def settle(self, request: AnswerRequest, message: Message) -> None:
        """In idle time: absorb the history as the next turn will render it; message is the answer to request.

        Gives way to any answer within SETTLE_CHUNK tokens. Does nothing if the conversation is not here any more, or
        goes on with tool results.
        """
        if message.tool_calls:
            return
        text = self._renderer.stable(replace(request, messages=(*request.messages, message)))
        slot = self._slots.take_to_settle(self.render(request), request.adapter_digest) if text else None
        if slot is None:
            return

        def give_way(done: int, total: int) -> None:
            if self._is_wanted.is_set():
                raise _WantedError

        try:
            if slot.text != text:
                self._absorb_all(slot, text, give_way, chunk=SETTLE_CHUNK)
        except (_WantedError, ContextFull):  # what is not settled is absorbed with the next request
            pass
        finally:
            self._slots.give_back(slot)

    def stop_settling(self) -> None:
        """Make every settle() give way, and wait until it has."""
        self._is_wanted.set()
        try:
            self._slots.wait_settled()
        finally:
            self._is_wanted.clear()

    def persist(self) -> None:
        """Write where the idle conversations stand to the store, if there is one."""
        for slot in self._slots.idle():
            if len(slot.ids) >= WORTH_STORING_TOKENS:
                slot.mark(on_disk=True)

    def render(self, request: AnswerRequest) -> str:
        """The prompt of request as guarded text. Raises as Renderer.render does."""
        return self._renderer.render(request)

    def _begin(
        self, plan: Plan, adapter: Adapter | None, note_from: Callable[[AbsorbedText], Callable[[], str]]
    ) -> Answer:
        """plan in the nearest state of adapter; note_from is called before that moves. Raises as answer does."""
        slot = self._take(plan.text, adapter)
        give_back = partial(self._slots.give_back, slot)
        try:
            note = note_from(slot)
            seat = Seat(
                model=self.model,
                slot=slot,
                pieces=self._pieces(slot, plan),
                speculation=self._speculation(slot),
                give_back=give_back,
                note=note,
            )
            return Answer(plan, seat)
        except BaseException:
            give_back()
            raise

    def _take(self, text: str, adapter: Adapter | None) -> AbsorbedText:
        """A state for text; one that settles is told to give way. Raises InputError if all are answering."""
        self._is_wanted.set()
        try:
            return self._slots.take(text, adapter)
        finally:
            self._is_wanted.clear()

    def _steering(self, request: AnswerRequest, text: str) -> ThinkingControl:
        return constraint_for(
            request,
            wire=self._renderer.wire,
            tags=self._renderer.thinking_tags,
            tokenizer=self.tokenizer,
            vocab_size=self.model.config.vocab_size,
            prompt_text=text,
        )

    def _speculation(self, slot: AbsorbedText) -> Speculation | None:
        """Drafts are verified in passes of their own, which answers at the same time would rather share."""
        return slot.speculation if self._slots.num_busy == 1 else None

    def _forbidden(self, request: AnswerRequest) -> Sequence[int]:
        """Control tokens that would begin a call although tool_choice is none."""
        if request.tool_choice != "none" or not request.tools or self._renderer.wire is None:
            return ()
        control = self.tokenizer.special_tokens
        return [control[tag] for tag in self._renderer.wire.openings if tag in control]

    def _ending(self, params: SamplingParams, forbidden: Sequence[int]) -> SamplingParams:
        """params that also stop at the model's end tokens, and never choose what is forbidden."""
        ends = dict.fromkeys((*params.stop_token_ids, *self.tokenizer.eos_token_ids))
        bias = {**params.logit_bias, **dict.fromkeys(forbidden, -math.inf)}
        return replace(params, stop_token_ids=tuple(ends), logit_bias=bias)

    def _pieces(self, slot: AbsorbedText, plan: Plan) -> list[tuple[str, list[int]]]:
        """What is left to absorb of the prompt once slot went back as far as it must. Raises ContextFull."""
        rest = slot.seek(plan.text, plan.spelling)
        pieces = _encoded(plan.spelling, rest, _cut(rest, plan.marks, len(slot.text)))
        used = len(slot.ids) + sum(len(ids) for _, ids in pieces)
        if used >= self.context:
            raise ContextFull(
                f"[context] the conversation has {used} tokens, and {self.context} fit with the answer; "
                "take something back, or start with a larger --context or --when-full drop"
            )
        return pieces

    def _absorb_all(
        self, slot: AbsorbedText, text: str, on_progress: Progress | None, *, chunk: int = CHUNK_TOKENS
    ) -> None:
        """Bring slot to the end of text."""
        spelling = RenderedSpelling(self.prompt)
        rest = slot.seek(text, spelling)
        ids = spelling.encode(rest)
        done = 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            if on_progress is not None:
                on_progress(done, len(ids))

        report(0)
        slot.extend(rest, ids, spelling, report, chunk=chunk)

    def _note(self, slot: AbsorbedText, text: str, request: AnswerRequest) -> Callable[[], str]:
        """What says why text cannot simply go on from slot, if it cannot. Called before the state moves."""
        if slot.text and slot.leads_to(text):
            return lambda: ""
        known_texts = (slot.text, self.cache.nearest(text, request.adapter_digest))
        old = max(known_texts, key=lambda known: common_length(known, text))

        def note() -> str:
            shared = text[: common_length(old, text)]
            end_of = partial(self._renderer.end, request)
            return explain(old, text, request.messages, end_of, len(self.prompt.encode(shared)))

        return note


def _encoded(spelling: Spelling, rest: str, cut: Sequence[str]) -> list[tuple[str, list[int]]]:
    """The pieces of rest with their ids; rest as one piece if cutting it would change its ids."""
    whole = spelling.encode(rest)
    pieces = [(piece, spelling.encode(piece)) for piece in cut]
    return pieces if [token for _, ids in pieces for token in ids] == whole else [(rest, whole)]


def _cut(rest: str, places: Sequence[int], start: int) -> list[str]:
    """rest, which begins at start, cut at places; the last piece is never empty."""
    edges = [0, *sorted({place - start for place in places if start < place < start + len(rest)}), len(rest)]
    return [rest[a:b] for a, b in pairwise(edges)]
