"""A request to the text of its prompt, and where that text may be cut: marks, ends of messages, what stays stable.

Knows the template and the tokenizer, no model. Start at Renderer.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property

from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.chat.request import AnswerRequest
from mambino.chat.spoken import Spoken
from mambino.chat.thinking import ThinkingTags, thinking_tags_of
from mambino.chat.wire.detect import wire_format_of
from mambino.chat.wire.format import WireFormat
from mambino.errors import TemplateError
from mambino.generation.prefix_cache import common_length
from mambino.tokenizer.tokenizer import Tokenizer

_REMEMBERED = 8  # rendered prompts: a request is counted, answered and settled, and soon follows the next
_QUESTIONS = ("a", "b")  # two texts that differ at once: what renders alike before them is stable


class Renderer:
    """One template; equal requests give equal text for its whole life, the printed date included."""

    def __init__(self, tokenizer: Tokenizer, template: str | None = None) -> None:
        """template None takes the tokenizer's own. Nothing is compiled before it is needed."""
        self._tokenizer = tokenizer
        self._template = template
        self._now = datetime.now()
        self._prompts = _Recent()
        self._systems = _Recent()
        self._openings: dict[bool | None, str] = {}  # what begins an answer, by the thinking switch
        self.spoken = Spoken()

    @cached_property
    def prompt(self) -> PromptEncoder:
        """The template and how its text is encoded. Raises TemplateError if there is none, or it does not parse."""
        return PromptEncoder(self._tokenizer, self._template)

    @cached_property
    def wire(self) -> WireFormat | None:
        """How calls are written; None if the template knows no tools."""
        return wire_format_of(self.prompt.template.source)

    @cached_property
    def thinking_tags(self) -> ThinkingTags | None:
        """What surrounds the end of reasoning; None if the template knows none."""
        return thinking_tags_of(self.prompt.template)

    def render(self, request: AnswerRequest, *, add_generation_prompt: bool = True) -> str:
        """The prompt of request as guarded text (PromptEncoder), with answers as the model gave them (spoken).

        With tool_choice "none" the tools are still told of, so that the prompt stays what it was.

        Raises     TemplateError if the template refuses the messages; InputError if it has no thinking switch to set
        """
        key = (add_generation_prompt, _switch(request), *map(id, request.messages), *map(id, request.tools))
        return self._prompts.text(key, lambda: self._render_anew(request, add_generation_prompt), request)

    def _render_anew(self, request: AnswerRequest, add_generation_prompt: bool) -> str:
        messages = self.spoken.with_reasoning(request.messages)
        text = self._rendered(request, messages, add_generation_prompt)

        def end_of(index: int) -> int:
            try:
                beginning = self._rendered(request, messages[: index + 1], False)
            except TemplateError:
                return -1
            return len(beginning) if text.startswith(beginning) else -1

        return self.spoken.restored(text, messages, end_of, self.prompt.turn_end)

    def marks(self, text: str, request: AnswerRequest) -> tuple[int, int]:
        """Where the rendered text is worth a snapshot: after the system message and the tools, after the question.

        0 for one where the template cannot stop. Told from what was rendered before, where that does: a mark that is
        misplaced costs a snapshot, and changes no answer.
        """
        return self._shared(text, request), self._asked(text, request)

    def _shared(self, text: str, request: AnswerRequest) -> int:
        system = request.messages[:1] if request.messages and request.messages[0].role == "system" else ()
        content = system[0].content if system else None
        key = (content, _switch(request), json.dumps(request.tools, default=dict))
        beginning = self._systems.text(key, lambda: self._beginning(request, system), None)
        return len(beginning) if text.startswith(beginning) else 0

    def _asked(self, text: str, request: AnswerRequest) -> int:
        opening = self._openings.get(_switch(request))
        if opening is None:
            beginning = self._beginning(request, request.messages)
            if not text.startswith(beginning):
                return 0
            opening = self._openings[_switch(request)] = text[len(beginning) :]
        return len(text) - len(opening) if text.endswith(opening) else 0

    def end(self, request: AnswerRequest, index: int) -> int:
        """Where a message ends in the prompt; where the one before does, if the template cannot stop there."""
        beginnings = (self._beginning(request, request.messages[:count]) for count in range(index + 1, 0, -1))
        return len(next(filter(None, beginnings), ""))

    def stable(self, request: AnswerRequest) -> str:
        """What the next turn's prompt will begin with, whatever is asked; cut after a control token."""
        one, other = (
            self.render(replace(request, messages=(*request.messages, Message(role="user", content=text))))
            for text in _QUESTIONS
        )
        common = one[: common_length(one, other)]
        return common[: self.prompt.last_control(common)]

    def _rendered(self, request: AnswerRequest, messages: Sequence[Message], add_generation_prompt: bool) -> str:
        """As the template has it."""
        switch = _switch(request)
        self.prompt.template.check_thinking(switch)
        return self.prompt.render(
            messages,
            tools=request.tools,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=switch,
            now=self._now,
        )

    def _beginning(self, request: AnswerRequest, messages: Sequence[Message]) -> str:
        """The text of the first messages alone; "" where the template cannot stop: some refuse a system message."""
        try:
            return self.render(replace(request, messages=tuple(messages)), add_generation_prompt=False)
        except TemplateError:
            return ""


class _Recent:
    """The texts that were last made, by key. Safe between threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[object, str]] = OrderedDict()
        self._lock = threading.Lock()

    def text(self, key: Hashable, make: Callable[[], str], alive: object) -> str:
        """What make made of key, made now if it is not known any more; alive is what the ids in key belong to."""
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key][1]
        text = make()
        with self._lock:
            self._known[key] = (alive, text)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return text


def _switch(request: AnswerRequest) -> bool | None:
    return None if request.thinking is None else bool(request.thinking)
