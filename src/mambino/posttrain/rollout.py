"""Trajectories: a policy answers tasks, many at a time, and every sampled token keeps the log-probability it had.

Sampling is plain (temperature 1, the whole distribution): what the policy says is what is trained. Any LanguageModel
will do. Start at Task and collect.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mambino.chat.events import CallEnded, TextPart
from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.chat.stream import AnswerParser, opens_thinking
from mambino.chat.wire.detect import wire_format_of
from mambino.errors import ContextFull, InputError
from mambino.lm import Float32Array, Int32Array, LanguageModel, SequenceState, Snapshot
from mambino.scoring.scored import Scored, unscored

_PREFILL_TOKENS = 512
_REPLY_ROOM = 4  # a state holds its prompt and this many times max_tokens: answers and the replies to them


class Environment(Protocol):
    """One attempt's surroundings; fresh for every trajectory."""

    def reply(self, answer: Message) -> Sequence[Message]:
        """What the policy reads next (results of tools, a user's words); () ends the attempt. Mutates self."""
        ...

    def score(self, trajectory: "Trajectory") -> Scored:
        """The reward, once the attempt has ended. Whatever it raises counts as unscored."""
        ...


class NewEnvironment(Protocol):
    def __call__(self) -> Environment: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """id is unique within its environment (a name: what is reported, and drawn from, together)."""

    id: str
    environment: str
    messages: tuple[Message, ...]
    begin: NewEnvironment
    tools: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A task to try once; seed decides every draw, so attempts do not depend on what runs beside them."""

    task: Task
    is_thinking: bool | None
    seed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What one attempt became. T tokens, prompt and replies included.

    tokens (T,); is_sampled (T,): chosen by the policy; logprobs (T,): of those, under the policy, 0 elsewhere
    answers  the policy's messages; finish: "length" if it was cut off, "stop" if it came to an end
    """

    attempt: Attempt
    tokens: Int32Array
    is_sampled: NDArray[np.bool_]
    logprobs: Float32Array
    answers: tuple[Message, ...]
    finish: Literal["stop", "length"]
    reward: Scored = field(default_factory=lambda: unscored("not judged yet"))

    @property
    def num_sampled(self) -> int:
        return int(self.is_sampled.sum())

    @property
    def text(self) -> str:
        """The last answer's content."""
        return self.answers[-1].content if self.answers else ""


def collect(
    model: LanguageModel, prompt: PromptEncoder, attempts: Sequence[Attempt], *, max_tokens: int, slots: int = 64
) -> list[Trajectory]:
    """One trajectory for each attempt, in order; at most max_tokens sampled in each, slots of them at a time.

    Equal prompts are absorbed once. Raises TemplateError or ContextFull if a task's own prompt cannot be rendered or
    does not fit.
    """
    running: list[_Run] = []
    done: dict[int, Trajectory] = {}
    prompts = _Prompts(model)
    waiting: Iterator[tuple[int, Attempt]] = iter(enumerate(attempts))
    while len(done) < len(attempts):
        while len(running) < slots and (following := next(waiting, None)) is not None:
            index, attempt = following
            running.append(_Run(index, attempt, prompt, prompts, max_tokens))
        behind = [run for run in running if run.pending]
        if behind:
            pending = [np.array(run.pending, np.int32) for run in behind]
            logits = model.extend_many([run.state for run in behind], pending)
            for run, row in zip(behind, logits, strict=True):
                run.logits = row
                run.pending = []
        for run in running:
            run.step()
            if run.finish is not None:
                done[run.index] = run.trajectory()
        running = [run for run in running if run.finish is None]
    return [done[index] for index in range(len(attempts))]


def judged(trajectory: Trajectory, environment: Environment) -> Scored:
    """The reward; a verifier that raises gives none, with the reason, and never 0."""
    try:
        return environment.score(trajectory)
    except Exception as error:  # an environment is others' code on a model's text; it must not end a run
        return unscored(f"the verifier raised {error!r}")


class _Prompts:
    """States after prompts, each absorbed once."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._known: dict[tuple[int, ...], tuple[Snapshot, Float32Array]] = {}

    def absorb(self, ids: Sequence[int], room: int) -> tuple[SequenceState, Float32Array]:
        """A state of its own after ids, with room for more tokens, and its logits. Raises ContextFull."""
        limit = self._model.config.max_context
        if len(ids) >= limit:
            raise ContextFull(f"[rollout] a prompt of {len(ids)} tokens; the model takes {limit}; leave the task out")
        state = self._model.new_state(min(len(ids) + room, limit))
        key = tuple(ids)
        if key in self._known:
            snapshot, logits = self._known[key]
            state.restore(snapshot)
            return state, logits
        tokens = np.array(ids, np.int32)
        for start in range(0, len(ids), _PREFILL_TOKENS):
            logits = self._model.extend(state, tokens[start : start + _PREFILL_TOKENS])
        self._known[key] = (state.snapshot(), logits)
        return state, logits


class _Run:
    """One attempt under way: step() chooses a token, or hands a finished answer to the environment."""

    def __init__(self, index: int, attempt: Attempt, prompt: PromptEncoder, prompts: _Prompts, max_tokens: int) -> None:
        self.index, self._attempt, self._prompt, self._max = index, attempt, prompt, max_tokens
        self._rng = np.random.default_rng(attempt.seed)
        self._wire = wire_format_of(prompt.template.source) if attempt.task.tools else None
        self.environment = attempt.task.begin()
        self._messages = list(attempt.task.messages)
        text = self._rendered()
        self._ids = prompt.encode(text)
        self._sampled = [False] * len(self._ids)
        self._logprobs = [0.0] * len(self._ids)
        self.state, self.logits = prompts.absorb(self._ids, _REPLY_ROOM * max_tokens)
        self.pending: list[int] = []
        self.finish: Literal["stop", "length"] | None = None
        self._begin_answer(text)

    def step(self) -> None:
        """Mutates self."""
        token, logprob = draw(self.logits, self._rng)
        self._append([token], is_sampled=True, logprobs=[logprob])
        self._answer.append(token)
        if token in self._prompt.tokenizer.eos_token_ids:
            self._end_answer()
        elif sum(self._sampled) >= self._max or self._is_full():
            self._messages.append(self._parsed())
            self.finish = "length"

    def trajectory(self) -> Trajectory:
        assert self.finish is not None
        made = Trajectory(
            attempt=self._attempt,
            tokens=np.array(self._ids, np.int32),
            is_sampled=np.array(self._sampled, np.bool_),
            logprobs=np.array(self._logprobs, np.float32),
            answers=tuple(message for message in self._messages[len(self._attempt.task.messages) :]
                          if message.role == "assistant"),
            finish=self.finish,
        )  # fmt: skip
        return replace(made, reward=judged(made, self.environment))

    def _begin_answer(self, prompt_text: str) -> None:
        self._answer: list[int] = []
        self._starts_inside = opens_thinking(prompt_text)

    def _end_answer(self) -> None:
        """Ask the environment; go on after its reply, token by token after what was written, or end."""
        self._messages.append(self._parsed())
        replies = self.environment.reply(self._messages[-1])
        if not replies:
            self.finish = "stop"
            return
        before = self._rendered(add_generation_prompt=False)
        self._messages += replies
        after = self._rendered()
        end = self._prompt.last_control(before)
        if not after.startswith(before[:end]):
            raise InputError(
                f"[rollout] task {self._attempt.task.id}: the chat template rewrites the past at this reply, so the "
                "tokens of one trajectory do not fit it; take thinking off for this environment"
            )
        ids = self._prompt.encode(after[end:])
        self._append(ids, is_sampled=False, logprobs=[0.0] * len(ids))
        if self._is_full():
            self.finish = "length"
        self._begin_answer(after)

    def _append(self, ids: Sequence[int], *, is_sampled: bool, logprobs: Sequence[float]) -> None:
        self._ids += ids
        self.pending += ids
        self._sampled += [is_sampled] * len(ids)
        self._logprobs += logprobs

    def _is_full(self) -> bool:
        return self.state.position + len(self.pending) >= self.state.max_tokens

    def _rendered(self, *, add_generation_prompt: bool = True) -> str:
        has_switch = "enable_thinking" in self._prompt.template.source
        return self._prompt.render(
            self._messages,
            tools=self._attempt.task.tools,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=self._attempt.is_thinking if has_switch else None,
        )

    def _parsed(self) -> Message:
        """The answer as a message, without its end token."""
        tokenizer = self._prompt.tokenizer
        parser = AnswerParser(
            wire=self._wire, tools=self._attempt.task.tools, starts_inside_thinking=self._starts_inside
        )
        text = tokenizer.decode(token for token in self._answer if token not in tokenizer.eos_token_ids)
        events = [*parser.feed(text), *parser.finish()]
        kinds = {"reasoning": "", "content": ""}
        for event in events:
            if isinstance(event, TextPart):
                kinds[event.kind] += event.text
        return Message(
            role="assistant",
            content=kinds["content"],
            reasoning=kinds["reasoning"] or None,
            tool_calls=tuple(event.call for event in events if isinstance(event, CallEnded)),
        )


def draw(logits: Float32Array, rng: np.random.Generator) -> tuple[int, float]:
    """A token from softmax(logits), and its log-probability (float64 sums)."""
    shifted = logits.astype(np.float64) - float(logits.max())
    weights = np.exp(shifted)
    sums = np.cumsum(weights)
    token = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
    token = min(token, len(sums) - 1)
    return token, float(shifted[token] - np.log(sums[-1]))
