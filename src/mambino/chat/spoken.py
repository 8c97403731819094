"""What the model really said, put back where a template would rewrite it.

A template renders an old answer from its parts, and rarely as it was: a blank line more, True for true. To the model,
and to a state that has absorbed it, the answer is what was generated. Text only. Start at Spoken.restored.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mambino.chat.messages import Message
from mambino.generation.prefix_cache import EMPTY_DIGEST, Key, digest_of, extended

MAX_REMEMBERED = 1024  # answers; each costs its text


@dataclass(slots=True, kw_only=True)
class _Said:
    """text was generated as message; rendered is how the template last wrote it, "" if that was not seen yet."""

    message: Message
    text: str
    rendered: str = ""


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
        known = self._by_index()
        before = _Beginning()
        for index, message in enumerate(messages):
            found = before.continued_by(text, (said for said in known.get(index, ()) if said[1].message == message))
            if found is None:
                continue
            start, said = found
            if not (said.rendered and text.startswith(said.rendered, start)):
                end = end_of(index)
                if end < 0 or end + shift < start:
                    continue
                said.rendered = text[start : end + shift]
            restored = said.text + tail_of(said.rendered)
            text = text[:start] + restored + text[start + len(said.rendered) :]
            shift += len(restored) - len(said.rendered)
        return text

    def _by_index(self) -> Mapping[int, Sequence[tuple[Key, _Said]]]:
        """What was said as message number n of a conversation, the latest first, each with the key of its prompt."""
        found: dict[int, list[tuple[Key, _Said]]] = {}
        with self._lock:
            for (index, length, digest), said in reversed(self._said.items()):
                found.setdefault(index, []).append(((length, digest), said))
        return found


class _Beginning:
    """A beginning of a text whose digest is known, so that a longer one costs only what it adds."""

    def __init__(self) -> None:
        self._length = 0
        self._digest = EMPTY_DIGEST

    def continued_by(self, text: str, candidates: Iterable[tuple[Key, _Said]]) -> tuple[int, _Said] | None:
        """The first of candidates whose prompt text begins with, and where that prompt ends. Mutates self."""
        for (length, digest), said in candidates:
            if self._length <= length <= len(text):
                longer = extended(self._digest, text[self._length : length])
                if longer.digest() == digest:
                    self._length, self._digest = length, longer
                    return length, said
        return None


def _completed(message: Message, by_call: Mapping[str, Message]) -> Message:
    if message.reasoning is not None or not message.tool_calls:
        return message
    known = by_call.get(message.tool_calls[0].id)
    return known if known is not None and replace(known, reasoning=None) == message else message
