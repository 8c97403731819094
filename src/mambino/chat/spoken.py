"""What the model really said, put back where a template would rewrite it.

A template renders an old answer from its parts, and rarely as it was: a blank line more, True for true. To the model,
and to a state that has absorbed it, the answer is what was generated. Text only. Start at Spoken.restored.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mambino.chat.messages import Message
from mambino.generation.prefix_cache import digest_of

MAX_REMEMBERED = 1024  # answers; each costs its text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    message: Message
    text: str


class Spoken:
    """Answers by the prompt that they were given to. Safe between threads."""

    def __init__(self) -> None:
        self._said: OrderedDict[tuple[int, int, bytes], _Said] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, prompt: str, index: int, message: Message, text: str) -> None:
        """text was generated after prompt, amounts to message, and is the conversation's message number index."""
        with self._lock:
            self._said[index, len(prompt), digest_of(prompt)] = _Said(message=message, text=text)
            if len(self._said) > MAX_REMEMBERED:
                self._said.popitem(last=False)

    def with_reasoning(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """messages, where those that call tools have their reasoning again.

        Most clients send an answer back without it; whether it is shown to the model is for the template to say.
        """
        with self._lock:
            by_call = {
                said.message.tool_calls[0].id: said.message for said in self._said.values() if said.message.tool_calls
            }
        return tuple(_completed(message, by_call) for message in messages)

    def restored(
        self,
        text: str,
        messages: Sequence[Message],
        end_of: Callable[[int], int],
        tail_of: Callable[[str], str],
    ) -> str:
        """text, a rendered conversation, with its answers as they were generated.

        An answer is put back only where its prompt still comes before it: a template that drops old thinking has its
        way. end_of(index) is where a message ends in text as rendered, -1 if that cannot be told; tail_of gives the
        part of a rendered answer that ends the turn.
        """
        shift = 0  # of the restored text against the rendered one
        for index, message in enumerate(messages):
            if message.role != "assistant":
                continue
            found = self._find(text, index, message)
            if found is None:
                continue
            start, said = found
            end = end_of(index)
            if end < 0 or end + shift < start:
                continue
            rendered = text[start : end + shift]
            restored = said + tail_of(rendered)
            text = text[:start] + restored + text[end + shift :]
            shift += len(restored) - len(rendered)
        return text

    def _find(self, text: str, index: int, message: Message) -> tuple[int, str] | None:
        """Where the answer begins in text, and what was said; None if it is not remembered to follow that."""
        with self._lock:
            known = [(key, said) for key, said in self._said.items() if key[0] == index and said.message == message]
        for (_, length, digest), said in reversed(known):
            if length <= len(text) and digest_of(text[:length]) == digest:
                return length, said.text
        return None


def _completed(message: Message, by_call: Mapping[str, Message]) -> Message:
    if message.reasoning is not None or not message.tool_calls:
        return message
    known = by_call.get(message.tool_calls[0].id)
    return known if known is not None and replace(known, reasoning=None) == message else message
