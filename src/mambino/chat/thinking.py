"""Keeps reasoning in bounds: a budget, a guard against loops, "answer now"; and hands over to the answer's grammar.

Knows text tags and ids, no models. Start at ThinkingControl; steering.py makes one for a request.
"""

import math
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mambino.chat.messages import Message
from mambino.chat.repetition import LoopGuard
from mambino.chat.stream import CLOSE, OPEN
from mambino.chat.template import ChatTemplate
from mambino.errors import TemplateError
from mambino.generation.constraint import Constraint
from mambino.tokenizer.tokenizer import Tokenizer

ClosedBy = Literal["model", "budget", "loop", "user"]
RAMP_START = 0.85  # of the budget
RAMP_LOGITS = 12.0  # at the end of the ramp, at a line's end: enough to win against all but a certain token
RAMP_INSIDE_LINE = 0.4  # of that, anywhere else
_FORBIDDEN = -math.inf
CALL_GRACE_TOKENS = 512  # a call that was begun inside the reasoning may still be finished
_TAIL_BYTES = 64  # longer than a tag and any token that completes one


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkingTags:
    """What the template writes around the end of reasoning: before the closing tag, and between it and the answer."""

    before_close: str = "\n"
    after_close: str = "\n\n"


def thinking_tags_of(template: ChatTemplate) -> ThinkingTags | None:
    """Read off the template by rendering an answer with reasoning; None if it knows no thinking."""
    if CLOSE not in template.source:
        return None
    asked = Message(role="user", content="Q")
    answered = Message(role="assistant", content="ANSWER", reasoning="REASONING")
    try:
        text = template.render((asked, answered), add_generation_prompt=False)
    except TemplateError:
        return ThinkingTags()
    before, tag, after = text.partition("REASONING")[2].partition(CLOSE)
    gap = after.partition("ANSWER")[0]
    return ThinkingTags(before_close=before, after_close=gap) if tag and not (before + gap).strip() else ThinkingTags()


class ThinkingControl:
    """A constraint for one answer; inner steers the answer proper, from where the reasoning has ended.

    Reasoning ends by the model's own closing tag, or is closed after budget tokens: from RAMP_START on the tag becomes
    likelier, most of all at line ends; then it is forced, with what the template writes around it. end_now() is safe
    from any thread. Where thinking is off, the opening tag is forbidden.

    is_closed_by       what ended the reasoning, None if there was none, or it has not ended
    reasoning_tokens   tokens of reasoning, without tags
    """

    def __init__(
        self,
        inner: Constraint | None,
        tokenizer: Tokenizer,
        tags: ThinkingTags | None,
        *,
        starts_inside: bool,
        may_open: bool,
        is_forbidden: bool = False,
        budget: int | None = None,
        must_answer: bool = False,
        call_tags: tuple[str, str] | None = None,
    ) -> None:
        """starts_inside: the prompt opened the reasoning; may_open: the model may, as the first thing it writes.

        must_answer: the answer may not end inside the reasoning. call_tags: opening and closing of tool calls; one that
        the model makes while it reasons is not cut in two.
        """
        self._inner = inner
        self._tokenizer = tokenizer
        self._tags = ThinkingTags() if tags is None else tags
        self._open_ids = tokenizer.encode(OPEN, parse_special=True)
        self._close_ids = tokenizer.encode(CLOSE, parse_special=True)
        self._is_forbidden = is_forbidden
        self._budget = budget
        self._must_answer = must_answer
        self._call_tags = None if call_tags is None else (call_tags[0].encode(), call_tags[1].encode())
        self._tokens_in_call = 0  # 0: outside
        self._phase: Literal["start", "reasoning", "content"] = (
            "reasoning" if starts_inside else "start" if may_open else "content"
        )
        self._due: tuple[int, ...] = ()  # ids that must come next: a tag and what belongs to it
        self._after_due: Literal["reasoning", "content"] = "content"
        self._tail = b""
        self._recent: deque[int] = deque(maxlen=max(len(self._open_ids), len(self._close_ids)))
        self._loops = LoopGuard()
        self._is_looping = False
        self._is_asked_to_end = threading.Event()
        self.is_closed_by: ClosedBy | None = None
        self.reasoning_tokens = 0

    @property
    def is_reasoning(self) -> bool:
        return self._phase == "reasoning"

    def end_now(self) -> None:
        """Close the reasoning before its next token. Safe from any thread; does nothing outside reasoning."""
        self._is_asked_to_end.set()

    def forced(self) -> Sequence[int]:
        if not self._due and self._phase == "reasoning":
            reason = self._reason_to_close()
            if reason is not None:
                self._close(reason)
        if self._due:
            return self._due
        return self._inner.forced() if self._inner is not None and self._phase == "content" else ()

    def mask(self) -> NDArray[np.bool_] | None:
        if self._inner is None or self._phase == "reasoning":
            return None
        allowed = self._inner.mask()
        if self._phase == "start" and allowed is not None:
            allowed[self._open_ids[0]] = True
        return allowed

    def bias(self) -> Mapping[int, float]:
        if self._phase == "reasoning":
            ends = self._tokenizer.eos_token_ids if self._must_answer else ()
            return dict.fromkeys(ends, _FORBIDDEN) | self._ramp()
        own = {}
        if self._is_forbidden and self._progress(self._open_ids) == len(self._open_ids) - 1:
            own[self._open_ids[-1]] = _FORBIDDEN
        return own if self._inner is None or self._phase == "start" else {**self._inner.bias(), **own}

    def advance(self, token: int) -> None:
        self._recent.append(token)
        if self._due:
            self._due = self._due[1:]
            if not self._due:
                self._enter(self._after_due)
        elif self._phase == "reasoning":
            self._reason(token)
        elif self._phase == "start":
            self._begin(token)
        elif self._inner is not None:
            self._inner.advance(token)

    def _enter(self, phase: Literal["reasoning", "content"]) -> None:
        self._phase, self._tail = phase, b""

    def _begin(self, token: int) -> None:
        """The first tokens: the opening tag, or the answer."""
        if self._inner is not None:
            if token != self._open_ids[0]:
                self._phase = "content"
                self._inner.advance(token)
                return
            self._due = tuple(self._open_ids[1:])
            self._after_due = "reasoning"
            if not self._due:
                self._enter("reasoning")
            return
        self._tail += self._tokenizer.token_bytes(token)
        begun, tag = self._tail.lstrip(), OPEN.encode()
        if begun.startswith(tag):
            self._enter("reasoning")
        elif not tag.startswith(begun) or len(self._tail) > _TAIL_BYTES:
            self._phase = "content"

    def _reason(self, token: int) -> None:
        self.reasoning_tokens += 1
        self._is_looping = self._loops.sees_loop(token) or self._is_looping
        self._tail += self._tokenizer.token_bytes(token)
        _, tag, after = self._tail.partition(CLOSE.encode())
        if not tag:
            self._tail = self._tail[-_TAIL_BYTES:]
            self._count_call()
            return
        self.reasoning_tokens -= min(len(self._close_ids), self.reasoning_tokens)
        self.is_closed_by = "model"
        wanted = self._tags.after_close.encode()
        rest = wanted.removeprefix(after) if self._inner is not None and wanted.startswith(after) else b""
        self._due = tuple(self._tokenizer.encode(rest))
        self._after_due = "content"
        if not self._due:
            self._enter("content")

    def _count_call(self) -> None:
        """Notice calls that begin and end in the reasoning."""
        if self._call_tags is None:
            return
        begun, ended = (self._tail.rfind(tag) for tag in self._call_tags)
        is_inside = self._tokens_in_call > 0 if begun == ended == -1 else begun > ended
        self._tokens_in_call = self._tokens_in_call + 1 if is_inside else 0

    @property
    def _is_in_call(self) -> bool:
        return 0 < self._tokens_in_call <= CALL_GRACE_TOKENS

    def _reason_to_close(self) -> ClosedBy | None:
        if self._is_asked_to_end.is_set():
            return "user"
        if self._is_in_call:
            return None
        if self._budget is not None and self.reasoning_tokens >= self._budget:
            return "budget"
        return "loop" if self._is_looping else None

    def _close(self, reason: ClosedBy) -> None:
        self.is_closed_by = reason
        self._after_due = "content"
        begun = self._progress(self._close_ids)
        if begun:
            after = self._tokenizer.encode(self._tags.after_close)
            self._due = (*self._close_ids[begun:], *after)
            return
        is_at_line_end = not self._tail or self._tail.endswith(b"\n")
        before = "" if is_at_line_end else self._tags.before_close
        self._due = tuple(self._tokenizer.encode(before + CLOSE + self._tags.after_close, parse_special=True))

    def _ramp(self) -> dict[int, float]:
        """The bias towards the next id of the closing tag."""
        if self._budget is None or self._is_in_call:
            return {}
        start = math.floor(self._budget * RAMP_START)
        if self.reasoning_tokens < start:
            return {}
        part = min((self.reasoning_tokens - start + 1) / (self._budget - start), 1.0)
        progress = self._progress(self._close_ids)
        is_good_place = progress > 0 or self._tail.endswith(b"\n")
        return {self._close_ids[progress]: RAMP_LOGITS * part * (1.0 if is_good_place else RAMP_INSIDE_LINE)}

    def _progress(self, ids: Sequence[int]) -> int:
        """How many of ids, but not all, the latest tokens are."""
        recent = list(self._recent)
        return next((count for count in range(len(ids) - 1, 0, -1) if recent[-count:] == list(ids[:count])), 0)
