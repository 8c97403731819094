"""Tasks to learn from by trying: verifiers of scoring/ and worlds of worlds/ as environments, and rows of NeMo-Gym.

To add an environment, write a file with a function that returns tasks: a Judge where the first answer decides, a
ToolTask where tools are called on the way, or a class with reply and score. Start at Judge and gym_tasks.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from mambino.chat.builtin_tools.home import SimulatedHome, home_tools
from mambino.chat.gym_rows import called, gym_prompt
from mambino.chat.messages import Message, ToolCall
from mambino.chat.toolbox import ToolBox
from mambino.errors import InputError, MambinoError
from mambino.posttrain.rollout import Environment, Task, Trajectory
from mambino.posttrain.rows import text_lines
from mambino.scoring.budget import score_budget
from mambino.scoring.call_syntax import Call
from mambino.scoring.instructions import check_instructions
from mambino.scoring.next_action import score_action
from mambino.scoring.schedule import Event, score_schedule
from mambino.scoring.scored import Scored, unscored, wrong
from mambino.scoring.short_answer import score_short_answer
from mambino.scoring.structured import Format, score_structured
from mambino.tokenizer.tokenizer import Tokenizer
from mambino.worlds.games import new_world
from mambino.worlds.home import new_goal, new_home

Reward = Callable[[Trajectory], Scored]
Row = Mapping[str, object]

MAX_TOOL_TURNS = 8
_FORMATS = ("json", "yaml", "xml", "toml", "csv")


class Judge:
    """The environment of a single answer: reward decides."""

    def __init__(self, reward: Reward) -> None:
        self._reward = reward

    def reply(self, answer: Message) -> Sequence[Message]:
        return ()

    def score(self, trajectory: Trajectory) -> Scored:
        return self._reward(trajectory)


class ToolTask:
    """Calls are run, results handed back, until an answer without calls or MAX_TOOL_TURNS; then reward decides."""

    def __init__(self, tools: ToolBox, reward: Reward) -> None:
        self._tools, self._reward, self._turns = tools, reward, 0

    def reply(self, answer: Message) -> Sequence[Message]:
        self._turns += 1
        if not answer.tool_calls or self._turns >= MAX_TOOL_TURNS:
            return ()
        results = self._tools.call_all(answer.tool_calls)
        return [
            Message(role="tool", content=result.text, tool_call_id=call.id)
            for call, result in zip(answer.tool_calls, results, strict=True)
        ]

    def score(self, trajectory: Trajectory) -> Scored:
        return self._reward(trajectory)


class Game:
    """A world of worlds/: every answer's last line is an action; the reward is the final score, from 0 to 1."""

    def __init__(self, name: str, seed: int, max_turns: int) -> None:
        self._world, self._turns = new_world(name), max_turns
        self.seen = self._world.reset(seed)
        self.rules = self._world.rules

    def reply(self, answer: Message) -> Sequence[Message]:
        lines = answer.content.strip().splitlines()
        self.seen = self._world.step(lines[-1].strip() if lines else "")
        self._turns -= 1
        if self.seen.is_done or self._turns <= 0:
            return ()
        return [Message(role="user", content=f"{self.seen.note}\n\n{self.seen.text}".strip())]

    def score(self, trajectory: Trajectory) -> Scored:
        return Scored(value=self.seen.score / 100.0, evidence=self.seen.note)


def game_tasks(name: str, seeds: Sequence[int], *, max_turns: int = 12) -> list[Task]:
    """Episodes of a world from these seeds. History stays as it was written: use it with thinking off."""
    tasks = []
    for seed in seeds:
        first = Game(name, seed, max_turns)
        tasks.append(
            Task(
                id=str(seed),
                environment=name,
                messages=(
                    Message(role="system", content=f"{first.rules}\nAnswer with one action, nothing else."),
                    Message(role="user", content=first.seen.text),
                ),
                begin=partial(Game, name, seed, max_turns),
            )
        )
    return tasks


def home_tasks(seeds: Sequence[int]) -> list[Task]:
    """Goals in simulated homes, reached by tools; judged by the final state of the home, not by what was said."""
    schemas = ToolBox(home_tools(SimulatedHome(new_home(0)))).schemas
    return [
        Task(
            id=str(seed), environment="home", tools=tuple(schemas), begin=partial(_home, seed),
            messages=(Message(role="user", content=new_goal(new_home(seed), seed).text),),
        )
        for seed in seeds
    ]  # fmt: skip


def _home(seed: int) -> Environment:
    before = new_home(seed)
    goal, simulated = new_goal(before, seed), SimulatedHome(before)

    def reward(trajectory: Trajectory) -> Scored:
        return Scored(value=goal.score(before, simulated.home), evidence=simulated.home.describe())

    return ToolTask(ToolBox(home_tools(simulated)), reward)


def with_budget(task: Task, tokenizer: Tokenizer, budget: int, *, share: float = 0.5) -> Task:
    """task, told of a budget for reasoning and rewarded by share for keeping it; the rest is its own reward."""
    told = replace(task.messages[-1], content=f"{task.messages[-1].content}\n\nThink for at most {budget} tokens.")

    def begin() -> Environment:
        inner = task.begin()

        def reward(trajectory: Trajectory) -> Scored:
            own = inner.score(trajectory)
            if own.value is None:
                return own
            thought = sum(len(tokenizer.encode(answer.reasoning or "")) for answer in trajectory.answers)
            kept = score_budget(thought, budget)
            assert kept.value is not None
            return Scored(
                value=(1 - share) * own.value + share * kept.value, evidence=f"{own.evidence}; {kept.evidence}"
            )

        return _Wrapped(inner, reward)

    return replace(task, messages=(*task.messages[:-1], told), begin=begin)


class _Wrapped:
    """Another environment's replies under another reward."""

    def __init__(self, inner: Environment, reward: Reward) -> None:
        self._inner, self._reward = inner, reward

    def reply(self, answer: Message) -> Sequence[Message]:
        return self._inner.reply(answer)

    def score(self, trajectory: Trajectory) -> Scored:
        return self._reward(trajectory)


def gym_tasks(path: Path) -> list[Task]:
    """Tasks of a NeMo-Gym .jsonl file; what a row is, its own fields say.

    Raises     InputError that names the first row that is not JSON, asks nothing, or is of a kind without a verifier
    """
    tasks: list[Task] = []
    for line, text in text_lines(path):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"[gym] {path} line {line}: not JSON: {error}") from error
        if not isinstance(row, Mapping):
            raise InputError(f"[gym] {path} line {line}: expected an object")
        try:
            tasks.append(gym_task(f"{path.stem}-{line}", row))
        except MambinoError as error:
            raise InputError(f"{error} ({path} line {line})") from error
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"[gym] {path} line {line}: not a row of its kind ({error!r})") from error
    return tasks


def gym_task(name: str, row: Row) -> Task:
    """One row as a task: instruction_following, structured_outputs, next actions, calendar or abstention."""
    asked = gym_prompt(name, row)
    for field, (environment, reward_of) in _KINDS.items():
        if field in row:
            reward = reward_of(row)
            return Task(
                id=name, environment=environment, messages=asked.messages, tools=asked.tools,
                begin=partial(Judge, reward),
            )  # fmt: skip
    raise InputError(f"[gym] row {name}: no verifier here for it; it has {', '.join(sorted(row))}")


def _instructions(row: Row) -> Reward:
    instructions = cast(Sequence[str], row["instruction_id_list"])
    arguments = cast(Sequence[Mapping[str, object]], row["kwargs"])
    asked = str(row["prompt"])
    is_fraction = row.get("grading_mode") == "fraction"

    def reward(trajectory: Trajectory) -> Scored:
        verdicts = check_instructions(trajectory.text, prompt=asked, instructions=instructions, arguments=arguments)
        unknown = [f"{verdict.instruction}: {verdict.reason}" for verdict in verdicts if verdict.strict is None]
        if unknown:
            return unscored("; ".join(unknown))
        followed = [bool(verdict.strict) for verdict in verdicts]
        share = sum(followed) / len(followed)
        return Scored(value=share if is_fraction else float(all(followed)), evidence=f"{sum(followed)} followed")

    return reward


def _structured(row: Row) -> Reward:
    schema, form, tool = json.loads(str(row["schema_str"])), str(row["schema_type"]), row.get("tool_name")
    if form not in _FORMATS:
        raise InputError(f"[gym] schema_type {form!r}: expected one of {', '.join(_FORMATS)}")

    def reward(trajectory: Trajectory) -> Scored:
        if tool is None:
            return score_structured(trajectory.text, schema, cast(Format, form))
        calls = _last_calls(trajectory)
        if len(calls) != 1 or calls[0].name != tool:
            return wrong(f"expected one call of {tool}")
        key = row.get("tool_payload_key")
        payload = calls[0].arguments.get(str(key)) if key else dict(calls[0].arguments)
        return score_structured(json.dumps(payload), schema, "json")

    return reward


def _next_action(row: Row) -> Reward:
    action = row["expected_action"]
    items = action if isinstance(action, list) else [action]
    calls = [called(item) for item in items if isinstance(item, Mapping) and item.get("type") == "function_call"]
    expected = [Call(name=call.name, arguments=call.arguments) for call in calls]

    def reward(trajectory: Trajectory) -> Scored:
        made = [Call(name=call.name, arguments=call.arguments) for call in _last_calls(trajectory)]
        return score_action(made, expected)

    return reward


def _calendar(row: Row) -> Reward:
    expected = list(cast(Mapping[str, Event], row["exp_cal_state"]).values())
    return lambda trajectory: score_schedule(trajectory.text, expected)


def _abstention(row: Row) -> Reward:
    return lambda trajectory: score_short_answer(trajectory.text, [str(row["answer"])])


def _last_calls(trajectory: Trajectory) -> tuple[ToolCall, ...]:
    return trajectory.answers[-1].tool_calls if trajectory.answers else ()


# The field that tells a kind of row -> the environment's name and its verifier.
_KINDS: Mapping[str, tuple[str, Callable[[Row], Reward]]] = {
    "schema_str": ("structured_outputs", _structured),
    "instruction_id_list": ("instruction_following", _instructions),
    "expected_action": ("next_action", _next_action),
    "exp_cal_state": ("calendar", _calendar),
    "answer": ("abstention", _abstention),
}
