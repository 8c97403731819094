"""Scheduling: a calendar as a JSON list that keeps every constraint (NeMo-Gym's calendar). Start at load."""

from collections.abc import Mapping
from typing import cast

from mambino.evals.data import Source, SuiteOptions
from mambino.evals.gym_rows import conversation
from mambino.evals.task import AnswerJson, Sample, Task, Verdict, first, response_text, single
from mambino.evals.tasks import only_part
from mambino.scoring.schedule import Event, score_schedule

SOURCE = Source(names=("calendar.jsonl", "example.jsonl"))


def load(options: SuiteOptions, part: str) -> Task:
    only_part("calendar", part, ())
    samples = (conversation(str(index), row, row) for index, row in enumerate(options.rows("calendar", SOURCE)))
    return Task(name="calendar", samples=first(samples, options.limit), score=score, metrics=("accuracy",))


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    expected = cast(Mapping[str, Event], sample.data["exp_cal_state"])
    return single("accuracy", score_schedule(response_text(answer), list(expected.values())))
