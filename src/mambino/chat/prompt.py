"""A conversation to the token ids of a prompt: the template's marks become control tokens, people's words never do.

Knows the template and the tokenizer, no model. Start at PromptEncoder.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mambino.chat.messages import Message
from mambino.chat.template import ChatTemplate
from mambino.errors import TemplateError
from mambino.tokenizer.tokenizer import Tokenizer

# Stands inside a control token's spelling that came from a message, so that it is not taken for the real one.
# Unicode reserves this code point for internal use; one that a message brings along is dropped.
GUARD = "\ufdd0"
_THINK_TAGS = frozenset({"<think>", "</think>"})  # an assistant's own text may hold them; templates look for them


class PromptEncoder:
    """Messages to text, and that text to ids.

    Text between the two steps is guarded: see GUARD. Equal conversations give equal text.
    """

    def __init__(self, tokenizer: Tokenizer, template: str | None = None) -> None:
        """template None takes the tokenizer's own. Raises TemplateError if there is none, or it does not parse."""
        source = tokenizer.chat_template if template is None else template
        if source is None:
            raise TemplateError(
                "[template] this model has no chat template: it continues text, but was not taught turns; "
                "use `mambino run --raw`, or give a template"
            )
        self.tokenizer = tokenizer
        self.template = ChatTemplate(
            source,
            bos_token=_spelling(tokenizer, tokenizer.bos_token_id),
            eos_token=_spelling(tokenizer, next(iter(tokenizer.eos_token_ids), None)),
        )
        spellings = sorted((text for text in tokenizer.special_tokens if len(text) > 1), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, spellings)) or r"(?!)")

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, object]] = (),
        add_generation_prompt: bool = True,
        enable_thinking: bool | None = None,
        now: datetime | None = None,
    ) -> str:
        """The prompt as guarded text. Raises TemplateError."""
        return self.template.render(
            [self._guarded(message) for message in messages],
            tools=tools,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=enable_thinking,
            now=now,
        )

    def encode(self, guarded: str) -> list[int]:
        """Ids of rendered text, or of a part of it that begins and ends where control tokens do.

        No begin token is added: a template that wants one writes it.
        """
        if GUARD not in guarded:
            return self.tokenizer.encode(guarded, parse_special=True)
        ids: list[int] = []
        end = 0
        for match in self._control.finditer(guarded):
            ids += self._encode_plain(guarded[end : match.start()])
            ids.append(self.tokenizer.special_tokens[match.group()])
            end = match.end()
        return ids + self._encode_plain(guarded[end:])

    def last_control(self, guarded: str) -> int:
        """Where the last control token of rendered text ends: whatever follows, the ids before it stay the same."""
        return max((match.end() for match in self._control.finditer(guarded)), default=0)

    def turn_end(self, guarded: str) -> str:
        """What ends a rendered turn: from its last control token on; "" without one."""
        last = max((match.start() for match in self._control.finditer(guarded)), default=len(guarded))
        return guarded[last:]

    def first_control(self, guarded: str) -> int:
        """Where the first control token of rendered text begins; its length without any."""
        match = self._control.search(guarded)
        return len(guarded) if match is None else match.start()

    def begins_with_control(self, guarded: str) -> bool:
        return self._control.match(guarded) is not None

    def _encode_plain(self, guarded: str) -> list[int]:
        return self.tokenizer.encode(guarded.replace(GUARD, ""))

    def _guarded(self, message: Message) -> Message:
        allowed = _THINK_TAGS if message.role == "assistant" else frozenset()
        reasoning = None if message.reasoning is None else self._guard(message.reasoning, frozenset())
        return replace(message, content=self._guard(message.content, allowed), reasoning=reasoning)

    def _guard(self, text: str, allowed: frozenset[str]) -> str:
        def broken(match: re.Match[str]) -> str:
            spelling = match.group()
            return spelling if spelling in allowed else spelling[0] + GUARD + spelling[1:]

        return self._control.sub(broken, text.replace(GUARD, ""))


def _spelling(tokenizer: Tokenizer, token_id: int | None) -> str:
    return "" if token_id is None else tokenizer.decode([token_id])
