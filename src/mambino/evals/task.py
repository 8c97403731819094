"""A suite as a Python value: samples, how a player attempts one, and how the answer is scored.

An answer is a JSON object, so that it can be kept, scored later, or come from elsewhere. Knows no particular model.
Start at Task; tasks/ holds one file per suite.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest, OutputFormat, Thinking
from mambino.errors import InputError, Unsupported
from mambino.generation.params import SamplingParams
from mambino.scoring.call_forms import calls_of
from mambino.scoring.call_syntax import Call
from mambino.scoring.scored import Scored

AnswerJson = Mapping[str, object]  # of a chat: response, reasoning, tool_calls, finish_reason, usage
UNFINISHED = ("length", "context", "interrupted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A responder's answer. finish_reason is "stop", "tool_calls", or why the model did not come to an end.

    first_token_s is None where it is not known (an endpoint that does not stream).
    """

    message: Message
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    elapsed_s: float
    first_token_s: float | None = None


class Responder(Protocol):
    """Answers chat requests: a local model or an endpoint."""

    @property
    def name(self) -> str: ...
    @property
    def knows_tools(self) -> bool:
        """Whether tools can be given; false for a model whose template has no place for them."""
        ...

    def respond(self, request: AnswerRequest) -> Reply:
        """Raises MambinoError if there is no answer, FetchError if there will be none to further requests either."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionScore:
    """How likely a text is after a prompt: natural log-probability, over num_tokens tokens."""

    logprob: float
    num_tokens: int


class Ranker(Protocol):
    """Log-probabilities of texts; only a local model has them."""

    def rank(self, prompt: str, options: Sequence[str]) -> tuple[OptionScore, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """Whoever is measured, and how it is asked. scores_unfinished: answers that were cut off are scored, too."""

    responder: Responder
    ranker: Ranker | None = None
    params: SamplingParams = field(default_factory=SamplingParams)
    thinking: Thinking = None
    scores_unfinished: bool = False

    def ask(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, object]] = (),
        output: OutputFormat | None = None,
        max_tokens: int | None = None,
    ) -> Reply:
        """max_tokens None means what params say."""
        params = self.params if max_tokens is None else replace(self.params, max_tokens=max_tokens)
        request = AnswerRequest(
            messages=tuple(messages), tools=tuple(tools), params=params, output=output, thinking=self.thinking
        )
        return self.responder.respond(request)

    def rank(self, prompt: str, options: Sequence[str]) -> tuple[OptionScore, ...]:
        if self.ranker is None:
            raise Unsupported("[eval] this suite compares log-probabilities, which only a local model gives")
        return self.ranker.rank(prompt, options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One case. data is what the scorer needs and the player must not see."""

    id: str
    messages: tuple[Message, ...] = ()
    tools: tuple[Mapping[str, object], ...] = ()
    data: Mapping[str, object] = field(default_factory=dict)

    @property
    def prompt(self) -> str:
        """Text of the last user message, by which ready-made answers may name a sample."""
        return next((message.content for message in reversed(self.messages) if message.role == "user"), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A numerator and a denominator; a metric is the sum of the ones over the sum of the others."""

    part: float
    whole: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one answer contributes to each metric. unscored: why something has no verdict; details: for people."""

    shares: Mapping[str, Share] = field(default_factory=dict)
    unscored: tuple[str, ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """metrics names the metrics, the headline first; version says what decides the verdicts (a package, or ours).

    is_generated: samples depend on the options of the run, so that an id alone does not name one.
    """

    name: str
    samples: tuple[Sample, ...]
    score: Callable[[Sample, AnswerJson], Verdict]
    metrics: tuple[str, ...]
    attempt: Callable[[Sample, Player], AnswerJson] = lambda sample, player: ask_once(sample, player)
    version: str = "mambino"
    about: str = ""
    is_generated: bool = False


def ask_once(sample: Sample, player: Player) -> dict[str, object]:
    """The usual attempt: the sample's messages, one answer."""
    return answer_json(player.ask(sample.messages, tools=sample.tools))


def answer_json(reply: Reply) -> dict[str, object]:
    message = reply.message.to_json()
    answer: dict[str, object] = {"response": reply.message.content}
    for source, name in (("reasoning_content", "reasoning"), ("tool_calls", "tool_calls")):
        if source in message:
            answer[name] = message[source]
    answer["finish_reason"] = reply.finish_reason
    answer["usage"] = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.completion_tokens}
    answer["elapsed_s"] = round(reply.elapsed_s, 4)
    return answer


def response_text(answer: AnswerJson) -> str:
    """Raises InputError if the answer has no text."""
    response = answer.get("response")
    if not isinstance(response, str):
        raise InputError(f"[eval] response: expected text, got {type(response).__name__}")
    return response


def calls_made(answer: AnswerJson) -> tuple[Call, ...]:
    """tool_calls, or else the calls that the response spells; none where it is words."""
    try:
        return calls_of(answer.get("tool_calls") or answer.get("response") or [])
    except InputError:
        return ()


def single(name: str, scored: Scored) -> Verdict:
    """The verdict of a suite with one metric."""
    if scored.value is None:
        return Verdict(unscored=(scored.evidence,))
    return Verdict(shares={name: Share(part=scored.value)}, details={"evidence": scored.evidence})


def user(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=text),)


def first(samples: Iterable[Sample], limit: int | None) -> tuple[Sample, ...]:
    """The first limit samples; all for None."""
    kept: list[Sample] = []
    for sample in samples:
        if limit is not None and len(kept) >= limit:
            break
        kept.append(sample)
    return tuple(kept)
