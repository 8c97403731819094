"""The next action of an agent: a message, or calls with alike arguments (NeMo-Gym's single step). Start at load."""

from collections.abc import Mapping

from mambino.chat.gym_rows import called
from mambino.evals.data import Source, SuiteOptions
from mambino.evals.gym_rows import conversation
from mambino.evals.task import AnswerJson, Sample, Task, Verdict, calls_made, first, single
from mambino.evals.tasks import only_part
from mambino.scoring.call_syntax import Call
from mambino.scoring.next_action import score_action

SOURCE = Source(names=("actions.jsonl", "example.jsonl"))


def load(options: SuiteOptions, part: str) -> Task:
    only_part("actions", part, ())
    samples = (conversation(str(index), row, row) for index, row in enumerate(options.rows("actions", SOURCE)))
    return Task(name="actions", samples=first(samples, options.limit), score=score, metrics=("accuracy",))


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    return single("accuracy", score_action(calls_made(answer), _expected(sample.data["expected_action"])))


def _expected(action: object) -> tuple[Call, ...]:
    """One function_call, a list of them, or a message (no calls)."""
    items = action if isinstance(action, list) else [action]
    calls = [called(item) for item in items if isinstance(item, Mapping) and item.get("type") == "function_call"]
    return tuple(Call(name=call.name, arguments=call.arguments) for call in calls)
