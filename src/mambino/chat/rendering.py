"""A request to the text of its prompt, and where that text may be cut: marks, ends of messages, what stays stable.

Knows the template and the tokenizer, no model. Start at Renderer.
"""

from collections.abc import Sequence
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

_QUESTIONS = ("a", "b")  # two texts that differ at once: what renders alike before them is stable


class Renderer:
    """One template; equal requests give equal text for its whole life, the printed date included."""

    def __init__(self, tokenizer: Tokenizer, template: str | None = None) -> None:
        """template None takes the tokenizer's own. Nothing is compiled before it is needed."""
        self._tokenizer = tokenizer
        self._template = template
        self._now = datetime.now()
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

        0 for one where the template cannot stop.
        """
        system = request.messages[:1] if request.messages and request.messages[0].role == "system" else ()
        return self._mark(text, request, system), self._mark(text, request, request.messages)

    def _mark(self, text: str, request: AnswerRequest, messages: Sequence[Message]) -> int:
        try:
            beginning = self._beginning(request, messages)
        except TemplateError:  # some templates refuse a system message alone
            return 0
        return len(beginning) if text.startswith(beginning) else 0

    def ends(self, request: AnswerRequest) -> list[int]:
        """Where each message ends in the prompt; where the one before does, if the template cannot stop there."""
        ends = [0]
        for index in range(len(request.messages)):
            try:
                ends.append(len(self._beginning(request, request.messages[: index + 1])))
            except TemplateError:
                ends.append(ends[-1])
        return ends[1:]

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
        switch = None if request.thinking is None else bool(request.thinking)
        self.prompt.template.check_thinking(switch)
        return self.prompt.render(
            messages,
            tools=request.tools,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=switch,
            now=self._now,
        )

    def _beginning(self, request: AnswerRequest, messages: Sequence[Message]) -> str:
        return self.render(replace(request, messages=tuple(messages)), add_generation_prompt=False)
