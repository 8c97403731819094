"""How good an assistant a model is: held-out rows judged by kind, whole games, everything with its interval.

Start at evaluate; verdict.py judges one answer.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

from mambino.chat.answering import Answerer
from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest
from mambino.evals.local import LocalResponder
from mambino.evals.statistics import Summary, summarize
from mambino.evals.task import Player, Sample, Share
from mambino.evals.tasks import games
from mambino.generation.params import SamplingParams
from mambino.lm import LanguageModel
from mambino.tokenizer.tokenizer import Tokenizer
from mambino.worlds.games import new_world
from mambino.worlds.world import random_action
from recipes.bundled.assistant.game_rows import SHARES as GAMES
from recipes.bundled.assistant.row import Abstain, Calls, Follows, NoCall, Row, Says
from recipes.bundled.assistant.rows import rows
from recipes.bundled.assistant.verdict import judge as judge
from recipes.bundled.assistant.verdict import obeys_switch, says_no

MAX_TOKENS = 320  # of an answer; experts need less
GREEDY = SamplingParams(temperature=0.0, max_tokens=MAX_TOKENS, seed=0)
_GAME_STEPS = 200
_SHOWN_FAULTS = 3  # of each kind

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A row, what was answered, and the verdicts (None: unscored)."""

    row: Row
    answer: Message
    value: float | None
    evidence: str
    is_obedient: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GameScore:
    """Mean scores, 0 to 1, of the model, of random actions and of the world's expert, on the same seeds."""

    model: Summary
    random: float
    expert: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """kinds: rates by kind of row; measures: rates across kinds; faults: some answers that were wrong, by kind."""

    rows: int
    kinds: Mapping[str, Summary]
    measures: Mapping[str, Summary]
    games: Mapping[str, GameScore]
    faults: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, object]:
        played = {
            name: {**_json(score.model), "random": round(score.random, 4), "expert": round(score.expert, 4)}
            for name, score in self.games.items()
        }
        return {
            "rows": self.rows,
            "measures": {name: _json(summary) for name, summary in self.measures.items()},
            "kinds": {name: _json(summary) for name, summary in self.kinds.items()},
            "games": played,
            "faults": {kind: list(shown) for kind, shown in self.faults.items()},
        }


def evaluate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    *,
    count: int,
    seed: int,
    episodes: int = 0,
    template: str | None = None,
    context: int = 1024,
    progress: Progress = lambda line: None,
) -> Report:
    """count held-out rows, answered greedily, and episodes of each game. template None takes the tokenizer's own.

    Raises     TemplateError without a template; ContextFull for a row that does not fit
    """
    answerer = Answerer(model, tokenizer, context=context, template=template)
    judged = list[Judged]()
    for number, row in enumerate(rows(count, seed=seed, split="held_out"), 1):
        judged.append(judged_answer(row, ask(answerer, row)))
        if number % 20 == 0 or number == count:
            progress(f"{number} of {count} rows")
    return report(judged, {name: _played(answerer, name, episodes, progress) for name in GAMES} if episodes else {})


def report(judged: Sequence[Judged], played: Mapping[str, GameScore] = MappingProxyType({})) -> Report:
    """Rates with 95 % bootstrap intervals over rows."""
    kinds = sorted({one.row.kind for one in judged})
    return Report(
        rows=len(judged),
        kinds=_summaries({kind: _values(one for one in judged if one.row.kind == kind) for kind in kinds}),
        measures=_summaries(_measures(judged)),
        games=played,
        faults={kind: tuple(islice(_faults(judged, kind), _SHOWN_FAULTS)) for kind in kinds},
    )


def ask(answerer: Answerer, row: Row) -> Message:
    """The model's answer in place of the expert's last one, with thinking as the row has it."""
    request = AnswerRequest(messages=row.messages[:-1], tools=row.tools, params=GREEDY, thinking=row.thinks)
    return LocalResponder(answerer, name="model").respond(request).message


def judged_answer(row: Row, answer: Message) -> Judged:
    scored = judge(row, answer)
    obedient = obeys_switch(row, answer).value == 1.0
    return Judged(row=row, answer=answer, value=scored.value, evidence=scored.evidence, is_obedient=obedient)


def _values(judged: Iterable[Judged]) -> list[Share]:
    return [Share(part=one.value) for one in judged if one.value is not None]


def _measures(judged: Sequence[Judged]) -> Mapping[str, list[Share]]:
    calls = [one for one in judged if isinstance(one.row.check, Calls)]
    unfit = [one for one in judged if one.row.tools and isinstance(one.row.check, NoCall | Abstain)]
    rules = [one for one in judged if isinstance(one.row.check, Follows)]
    askable = [one for one in judged if isinstance(one.row.check, Abstain | Says | Calls)]
    return {
        "tool_call_exact": _values(calls),
        "no_call_when_none_fits": [Share(part=float(not one.answer.tool_calls)) for one in unfit],
        "abstention_f1": [_f1(one) for one in askable],
        "thinking_switch": [Share(part=float(one.is_obedient)) for one in judged],
        "instructions": _values(rules),
        "thinking_on": _values(one for one in judged if one.row.thinks),
        "thinking_off": _values(one for one in judged if not one.row.thinks),
        "all": _values(judged),
    }


def _f1(one: Judged) -> Share:
    """Summed over rows: twice the true positives, over what was said and what should have been."""
    should, does = isinstance(one.row.check, Abstain), says_no(one.answer)
    return Share(part=2.0 * (should and does), whole=float(should) + float(does))


def _summaries(shares: Mapping[str, list[Share]]) -> Mapping[str, Summary]:
    """Without those that have nothing to divide by."""
    found = {name: summarize(values) if values else None for name, values in shares.items()}
    return {name: summary for name, summary in found.items() if summary is not None}


def _faults(judged: Iterable[Judged], kind: str) -> Iterable[str]:
    return (f"{_question(one.row)!r}: {one.evidence}" for one in judged if one.row.kind == kind and one.value == 0.0)


def _question(row: Row) -> str:
    return next((message.content for message in reversed(row.messages[:-1]) if message.role == "user"), "")[-200:]


def _played(answerer: Answerer, name: str, episodes: int, progress: Progress) -> GameScore:
    """The model plays greedily: a request's seed is always the same, so drawing lots would be no chance either."""
    player = Player(responder=LocalResponder(answerer, name="model"), params=GREEDY, thinking=False)
    shares = list[Share]()
    for seed in range(episodes):
        data = {"game": name, "seed": seed, "agent": "zeroshot", "strict": False, "steps": _GAME_STEPS}
        sample = Sample(id=f"{name}-{seed}", data=data)
        shares.append(games.score(sample, games.attempt(sample, player)).shares["score"])
        progress(f"{name}: {seed + 1} of {episodes} games")
    summary = summarize(shares)
    assert summary is not None, "every game counts"
    scores = [(_reference(name, seed, "random"), _reference(name, seed, "expert")) for seed in range(episodes)]
    means = [sum(column) / episodes for column in zip(*scores, strict=True)]
    return GameScore(model=summary, random=means[0], expert=means[1])


def _reference(name: str, seed: int, who: str) -> float:
    """The score of a player without a model."""
    world, rng = new_world(name), random.Random(seed)
    seen = world.reset(seed)
    for _ in range(_GAME_STEPS):
        if seen.is_done:
            break
        seen = world.step(world.expert_action() if who == "expert" else random_action(seen, rng))
    return seen.score / 100.0


def _json(summary: Summary) -> dict[str, float]:
    return {
        "value": round(summary.value, 4),
        "low": round(summary.low, 4),
        "high": round(summary.high, 4),
        "samples": summary.samples,
    }
