"""A conversation with a model: messages in, events out, tools run on the way.

Knows any LanguageModel and its tokenizer, no terminal and no server. Start at Chat.reply, or Chat.ask for plain text.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from itertools import takewhile

from mambino.chat.answer import Answer, Progress
from mambino.chat.answering import Answerer
from mambino.chat.context import ContextPolicy, ContextWindow, Reader
from mambino.chat.events import ChatEvent, ToolFinished
from mambino.chat.messages import Message, ToolCall
from mambino.chat.persona import Persona
from mambino.chat.prompt import PromptEncoder
from mambino.chat.request import AnswerRequest, OutputFormat, Thinking
from mambino.chat.summary import summary_request
from mambino.chat.toolbox import ToolBox
from mambino.chat.tools import Tool
from mambino.chat.turn import Turn
from mambino.errors import ContextFull, InputError
from mambino.generation.params import SamplingParams
from mambino.generation.prefix_cache import SnapshotTree
from mambino.generation.state_store import StateStore
from mambino.lm import Adapter, LanguageModel
from mambino.tokenizer.tokenizer import Tokenizer

MAX_TOOL_ROUNDS = 8  # answers in a row that call tools, before the model must answer without
_NOT_RUN = "not run: the user stopped the answer"
_ANSWER_RESERVE = 256  # tokens that an answer should find room for, if max_tokens does not say


class Chat:
    """Messages, and one state that has absorbed as many of them as the model has seen.

    messages may be edited between answers, and params, thinking and output set: the state catches up by itself.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        *,
        max_tokens: int,
        params: SamplingParams | None = None,
        system: str | None = None,
        persona: Persona | None = None,
        remembered: str = "",
        thinking: Thinking = None,
        tools: ToolBox | Sequence[Tool | Callable[..., object]] = (),
        when_full: ContextPolicy = "error",
        template: str | None = None,
        cache: SnapshotTree | None = None,
        store: StateStore | None = None,
        adapter: Adapter | None = None,
    ) -> None:
        """max_tokens is the room for the conversation. Functions given as tools are described from their signatures.

        persona gives the system text, the greeting, and sampling and thinking where params and thinking are None;
        remembered is what it knows from earlier conversations (memory.Memory.text).

        cache and store can be shared with other chats of the same model; None for an own cache, and nothing on disk.
        template replaces the tokenizer's. adapter is added to the model's weights for this chat alone.

        Raises     TemplateError if there is no usable template; InputError if it has no thinking switch to set, or for
                   both a system text and a persona
        """
        if persona is not None and system is not None:
            raise InputError("[chat] a persona brings its own system text; give one of the two")
        self.answerer = Answerer(model, tokenizer, context=max_tokens, cache=cache, store=store, template=template)
        advised = {} if persona is None else persona.sampling
        self.params = SamplingParams(**advised) if params is None else params  # type: ignore[arg-type]  # it checks
        self.output: OutputFormat | None = None
        self.adapter = adapter
        self.tools = tools if isinstance(tools, ToolBox) else ToolBox(tools)
        self.messages: list[Message] = []
        self.last_turn: Turn | None = None
        self.last_note = ""  # why the last prompt could not simply go on from the one before
        self._window = ContextWindow(when_full, max_tokens)
        self._running: Answer | None = None
        self._is_stopping = False
        if thinking is None and persona is not None and self.prompt.template.has_thinking_switch:
            thinking = persona.thinking
        self.thinking = thinking
        self.set_system(system)
        if persona is not None:
            self.messages = _beginning(persona, remembered)

    @property
    def prompt(self) -> PromptEncoder:
        return self.answerer.prompt

    @property
    def system(self) -> str | None:
        """Text of the system message, None without one."""
        return self.messages[0].content if self.messages and self.messages[0].role == "system" else None

    @property
    def thinking(self) -> Thinking:
        """The thinking switch, or a budget in tokens; setting what the template does not have raises InputError."""
        return self._thinking

    @thinking.setter
    def thinking(self, thinking: Thinking) -> None:
        self.prompt.template.check_thinking(None if thinking is None else bool(thinking))
        self._thinking = thinking

    @property
    def used_tokens(self) -> int:
        """Tokens of the last prompt and its answer."""
        return 0 if self.last_turn is None else self.last_turn.prompt_tokens + len(self.last_turn.tokens)

    @property
    def max_tokens(self) -> int:
        return self._window.max_tokens

    @property
    def num_dropped(self) -> int:
        """Messages that the model does not see any more, to stay inside the context."""
        return self._window.num_dropped

    @property
    def state_nbytes(self) -> int:
        """Bytes of the state and its snapshots."""
        return self.answerer.state_nbytes

    def set_system(self, system: str | None) -> None:
        """Replace the system message, or remove it with None. Mutates messages."""
        rest = self.messages[1:] if self.system is not None else self.messages
        self.messages = rest if system is None else [Message(role="system", content=system), *rest]

    def clear(self) -> None:
        """Forget everything but the system messages at the start."""
        self.messages = list(takewhile(lambda message: message.role == "system", self.messages))

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
        running = self._running
        if running is not None:
            running.stop()

    def end_thinking(self) -> None:
        """Make the model stop reasoning and answer. Safe from signals and threads."""
        running = self._running
        if running is not None:
            running.end_thinking()

    def ask(self, text: str) -> str:
        """The content of the answer to text. Otherwise as reply."""
        start = len(self.messages)
        for _ in self.reply(text):
            pass
        return "".join(message.content for message in self.messages[start:][-1:] if message.role == "assistant")

    async def ask_async(self, text: str) -> str:
        """ask, without blocking the event loop."""
        return await asyncio.to_thread(self.ask, text)

    async def reply_async(self, text: str) -> AsyncIterator[ChatEvent]:
        """reply, without blocking the event loop; cancelling it stops the answer."""
        events = self.reply(text)
        try:
            while (event := await asyncio.to_thread(next, events, None)) is not None:
                yield event
        finally:
            self.stop()
            await asyncio.to_thread(events.close)

    def reply(self, text: str, *, on_prompt_progress: Progress | None = None) -> Generator[ChatEvent, None, None]:
        """Ask text, and yield the answer in events as they come; tools are run, and what they say is answered.

        Stopping (stop(), Ctrl-C, or closing the iterator) keeps what was answered so far; stopped before the first
        token, or failed, the question is taken back.

        Mutates    messages, last_turn
        Raises     ContextFull if the conversation does not fit; TemplateError if the template refuses it
        """
        start = len(self.messages)
        self.messages.append(Message(role="user", content=text))
        self._is_stopping = False
        tools = self.tools.for_turn()
        may_call = True
        try:
            for round_number in range(MAX_TOOL_ROUNDS + 1):
                yield from self._answer(may_call and round_number < MAX_TOOL_ROUNDS, on_prompt_progress)
                calls = self.messages[-1].tool_calls if self.messages[-1].role == "assistant" else ()
                if not calls or self._is_stopping:
                    return
                finished = self._run(tools, calls)
                may_call = not any(result.is_repeat for result in finished)
                yield from finished
        finally:
            self._drop_unanswered(start)

    def regenerate(self, *, on_prompt_progress: Progress | None = None) -> Generator[ChatEvent, None, None]:
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

    def prepare(self) -> None:
        """In idle time: what the first answer would wait for beside its prompt. Raises TemplateError, InputError."""
        self.answerer.prepare(self._request(self.messages, may_call=True))

    def settle(self) -> None:
        """In idle time: absorb the history as the next question's prompt will hold it. Any answer may interrupt it."""
        if self.messages and self.messages[-1].role == "assistant":
            shown = self._window.view(self.messages)
            self.answerer.settle(self._request(shown[:-1], may_call=True), shown[-1])

    def stop_settling(self) -> None:
        """Make settle(), running in another thread, return soon; waits until it has."""
        self.answerer.stop_settling()

    def _answer(self, may_call: bool, on_progress: Progress | None) -> Generator[ChatEvent, None, None]:
        self.last_turn = None
        request = self._request(self._fitting(), may_call)
        with self.answerer.answer(request, on_prompt_progress=on_progress) as answer:
            self._running = answer
            if self._is_stopping:
                answer.stop()
            try:
                for event in answer:
                    self.last_turn = answer.turn
                    yield event
            finally:
                answer.close()
                self._running = None
                self.last_note = answer.note
                if answer.message is not None:
                    self.last_turn = answer.turn
                    self.messages.append(answer.message)

    def _fitting(self) -> tuple[Message, ...]:
        reserve = min(self.params.max_tokens or _ANSWER_RESERVE, self.max_tokens // 4)

        reader = Reader(
            count=lambda messages: self.answerer.count_tokens(self._request(messages, may_call=True)),
            summarise=self._summary,
            forget=lambda messages: self.answerer.forget(self._request(messages, may_call=True)),
        )
        return self._window.fit(self.messages, reserve, reader)

    def _summary(self, messages: Sequence[Message]) -> str:
        """What messages say, in the model's words; "" if even that does not fit."""
        has_switch = self.prompt.template.has_thinking_switch
        request = summary_request(messages, has_thinking_switch=has_switch, adapter=self.adapter)
        try:
            with self.answerer.answer(request) as answer:
                for _ in answer:
                    pass
                return "" if answer.message is None else answer.message.content.strip()
        except ContextFull:
            return ""

    def _request(self, messages: Sequence[Message], may_call: bool) -> AnswerRequest:
        return AnswerRequest(
            messages=tuple(messages),
            params=self.params,
            tools=self.tools.schemas,
            tool_choice="auto" if may_call else "none",
            output=self.output,
            thinking=self.thinking,
            adapter=self.adapter,
        )

    def _run(self, tools: ToolBox, calls: Sequence[ToolCall]) -> list[ToolFinished]:
        """Run the tools of one answer, and tell the model. Mutates messages."""
        results = tools.call_all(calls)
        self.messages += [
            Message(role="tool", content=result.text, tool_call_id=call.id)
            for call, result in zip(calls, results, strict=True)
        ]
        return [
            ToolFinished(
                call=call,
                text=result.text,
                is_error=result.is_error,
                is_repeat=result.is_repeat,
                elapsed_s=result.elapsed_s,
            )
            for call, result in zip(calls, results, strict=True)
        ]

    def _drop_unanswered(self, start: int) -> None:
        """Take back a question without an answer, and calls without results. Mutates messages."""
        if len(self.messages) == start + 1:
            self.messages.pop()
            return
        last = next(index for index in reversed(range(len(self.messages))) if self.messages[index].role != "tool")
        told = {message.tool_call_id for message in self.messages[last + 1 :]}
        missing = [call for call in self.messages[last].tool_calls if call.id not in told]
        self.messages += [Message(role="tool", content=_NOT_RUN, tool_call_id=call.id) for call in missing]


def _beginning(persona: Persona, remembered: str) -> list[Message]:
    """The messages that every conversation with persona begins with; what never changes comes first."""
    messages = [Message(role="system", content=persona.system_text())]
    if remembered:
        messages.append(Message(role="system", content=remembered))
    if persona.greeting:
        messages.append(Message(role="assistant", content=persona.greeting))
    return messages
