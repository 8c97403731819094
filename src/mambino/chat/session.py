"""A conversation with a model: messages in, events out, and a state that follows the conversation at the least cost.

Knows any LanguageModel and its tokenizer, no terminal and no server. Start at Chat.reply.
"""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from mambino.chat.absorbed import AbsorbedText
from mambino.chat.events import TextPart
from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.chat.stream import ThinkingSplitter, opens_thinking
from mambino.chat.turn import Turn
from mambino.errors import ContextFull, InputError, TemplateError
from mambino.generation.generate import Generation, generate
from mambino.generation.params import SamplingParams
from mambino.lm import LanguageModel
from mambino.tokenizer.tokenizer import Tokenizer

Progress = Callable[[int, int], None]  # (prompt tokens absorbed, prompt tokens to absorb)


class _StoppedError(Exception):
    """stop() was called while the prompt was being absorbed."""


class Chat:
    """Messages, and one state that has absorbed as many of them as the model has seen.

    messages may be edited between answers, and params and thinking set: the state catches up by itself. thinking None
    leaves the template's default.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        *,
        max_tokens: int,
        params: SamplingParams | None = None,
        system: str | None = None,
        thinking: bool | None = None,
        template: str | None = None,
    ) -> None:
        """max_tokens is the room for the conversation.

        Raises     TemplateError if there is no usable template; InputError if it has no thinking switch to set
        """
        self.model = model
        self.tokenizer = tokenizer
        self.prompt = PromptEncoder(tokenizer, template)
        self.params = SamplingParams() if params is None else params
        self.thinking = thinking
        self.messages: list[Message] = []
        self.last_turn: Turn | None = None
        self.set_system(system)
        self._absorbed = AbsorbedText(model, max_tokens, tokenizer.decode)
        self._started = datetime.now()
        self._is_stopping = False

    @property
    def system(self) -> str | None:
        """Text of the system message, None without one."""
        return self.messages[0].content if self.messages and self.messages[0].role == "system" else None

    @property
    def thinking(self) -> bool | None:
        """The template's thinking switch; setting one that it does not have raises InputError."""
        return self._thinking

    @thinking.setter
    def thinking(self, thinking: bool | None) -> None:
        self.prompt.template.check_thinking(thinking)
        self._thinking = thinking

    @property
    def used_tokens(self) -> int:
        """Tokens in the state."""
        return self._absorbed.state.position

    @property
    def max_tokens(self) -> int:
        return self._absorbed.state.max_tokens

    @property
    def state_nbytes(self) -> int:
        """Bytes of the state and its snapshots."""
        return self._absorbed.nbytes

    def set_system(self, system: str | None) -> None:
        """Replace the system message, or remove it with None. Mutates messages."""
        rest = self.messages[1:] if self.system is not None else self.messages
        self.messages = rest if system is None else [Message(role="system", content=system), *rest]

    def clear(self) -> None:
        """Forget everything but the system message."""
        self.messages = [message for message in self.messages[:1] if message.role == "system"]

    def undo(self) -> Message | None:
        """Take back the last question and what followed; the question, or None if there is none."""
        for index in reversed(range(len(self.messages))):
            if self.messages[index].role == "user":
                asked = self.messages[index]
                del self.messages[index:]
                return asked
        return None

    def stop(self) -> None:
        """End the running answer soon: within a token, or a chunk of the prompt. Safe from signals and threads."""
        self._is_stopping = True

    def reply(self, text: str, *, on_prompt_progress: Progress | None = None) -> Generator[TextPart, None, None]:
        """Ask text, and yield the answer in parts as they come.

        Stopping (stop(), Ctrl-C, or closing the iterator) keeps what was answered so far; stopped before the first
        token, or failed, the question is taken back.

        Mutates    messages, last_turn
        Raises     ContextFull if the conversation does not fit; TemplateError if the template refuses it
        """
        self.messages.append(Message(role="user", content=text))
        answer = self._answer(on_prompt_progress)
        try:
            yield from answer
        finally:
            answer.close()
            if self.messages[-1].role == "user":
                self.messages.pop()

    def regenerate(self, *, on_prompt_progress: Progress | None = None) -> Generator[TextPart, None, None]:
        """Answer the last question anew; the old answer stays if there is no new one. Otherwise as reply.

        Raises     InputError if there is no question
        """
        before = list(self.messages)
        asked = self.undo()
        if asked is None:
            raise InputError("[chat] there is no question to answer again")
        start = len(self.messages)
        try:
            yield from self.reply(asked.content, on_prompt_progress=on_prompt_progress)
        finally:
            if len(self.messages) == start:
                self.messages = before

    def _answer(self, on_progress: Progress | None) -> Generator[TextPart, None, None]:
        self._is_stopping = False
        started = time.perf_counter()
        text = self._render(self.messages)
        tail = self._absorb_most(text, on_progress)
        turn = self.last_turn
        if turn is None:
            return
        splitter = ThinkingSplitter(starts_inside=opens_thinking(text))
        parts: list[TextPart] = []
        generation = self._generate(tail, turn, on_progress)
        try:
            for event in generation:
                turn.count(event, is_reasoning=splitter.is_reasoning, elapsed_s=time.perf_counter() - started)
                new = splitter.feed(event.text)
                parts += new
                yield from new
                if self._is_stopping or event.finish_reason is not None:
                    turn.finish_reason = event.finish_reason or "interrupted"
                    break
            ending = splitter.finish()
            parts += ending
            yield from ending
        finally:
            generation.close()
            self._absorbed.note_generated(generation.absorbed)
            if generation.completion:
                self.messages.append(_message([*parts, *splitter.finish()]))

    def _absorb_most(self, text: str, on_progress: Progress | None) -> list[int]:
        """Bring the state to the end of the question; the ids of what then remains of text: the generation prompt.

        Mutates    last_turn: set to the turn that begins, or None if it was stopped here
        """
        absorbed = self._absorbed
        self.last_turn = None
        rest = absorbed.seek(text)
        pieces = self._encoded(rest, _cut(rest, self._marks_in(text), len(absorbed.text)))
        reused, total = len(absorbed.ids), sum(len(ids) for _, ids in pieces)
        if reused + total >= self.max_tokens:
            raise ContextFull(
                f"[context] the conversation has {reused + total} tokens, and {self.max_tokens} fit with the answer; "
                "/undo or /clear something, or start with a larger --context"
            )
        done = 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            if on_progress is not None:
                on_progress(done, total)
            if self._is_stopping:
                raise _StoppedError

        try:
            report(0)
            for piece, ids in pieces[:-1]:
                absorbed.extend(piece, ids, report)
                absorbed.mark()
        except _StoppedError:
            return []
        self.last_turn = Turn(prompt_tokens=reused + total, reused_tokens=reused, tokens=[])
        return pieces[-1][1]

    def _encoded(self, rest: str, cut: Sequence[str]) -> list[tuple[str, list[int]]]:
        """The pieces of rest with their ids; rest as one piece if cutting it would change its ids."""
        whole = self.prompt.encode(rest)
        pieces = [(piece, self.prompt.encode(piece)) for piece in cut]
        return pieces if [token for _, ids in pieces for token in ids] == whole else [(rest, whole)]

    def _generate(self, prompt: Sequence[int], turn: Turn, on_progress: Progress | None) -> Generation:
        total = turn.prompt_tokens - turn.reused_tokens

        def report(done: int, count: int) -> None:
            if on_progress is not None:
                on_progress(total - count + done, total)

        ends = dict.fromkeys((*self.params.stop_token_ids, *self.tokenizer.eos_token_ids))
        return generate(
            self.model,
            self._absorbed.state,
            prompt,
            replace(self.params, stop_token_ids=tuple(ends)),
            decoder=self.tokenizer.stream(),
            history=self._absorbed.ids,
            on_prompt_progress=report,
        )

    def _marks_in(self, text: str) -> list[int]:
        """Where text is worth a snapshot: after the system message, and after the question."""
        places = []
        for messages in (self.messages[:1] if self.system is not None else [], self.messages):
            try:
                beginning = self._render(messages, add_generation_prompt=False) if messages else ""
            except TemplateError:  # some templates refuse a system message alone
                continue
            if text.startswith(beginning):
                places.append(len(beginning))
        return places

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True) -> str:
        return self.prompt.render(
            messages,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=self.thinking,
            now=self._started,
        )


def _cut(rest: str, places: Sequence[int], start: int) -> list[str]:
    """rest, which begins at start, cut at places; the last piece is never empty."""
    edges = [0, *sorted({place - start for place in places if start < place < start + len(rest)}), len(rest)]
    return [rest[a:b] for a, b in pairwise(edges)]


def _message(parts: Sequence[TextPart]) -> Message:
    reasoning = "".join(part.text for part in parts if part.kind == "reasoning")
    content = "".join(part.text for part in parts if part.kind == "content")
    return Message(role="assistant", content=content, reasoning=reasoning or None)
