"""Short factual questions where saying [IDK] beats a wrong answer (NeMo-Gym's abstention). Start at load.

Right is 1, abstaining a half, wrong 0; answers are compared by normalised strings, not by a judge.
"""

from mambino.evals.data import Row, Source, SuiteOptions
from mambino.evals.gym_rows import conversation
from mambino.evals.task import AnswerJson, Sample, Share, Task, Verdict, first, response_text
from mambino.evals.tasks import only_part
from mambino.scoring.short_answer import ABSTAIN_VALUE, score_short_answer

SOURCE = Source(names=("abstention.jsonl", "example.jsonl"))


def load(options: SuiteOptions, part: str) -> Task:
    only_part("abstention", part, ())
    samples = (_sample(index, row) for index, row in enumerate(options.rows("abstention", SOURCE)))
    metrics = ("score", "accuracy", "abstained", "wrong")
    return Task(name="abstention", samples=first(samples, options.limit), score=score, metrics=metrics)


def _sample(index: int, row: Row) -> Sample:
    return conversation(str(row.get("id", index)), row, {"answer": row["answer"]})


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    scored = score_short_answer(response_text(answer), [str(sample.data["answer"])])
    value = scored.value or 0.0
    shares = {"score": value, "accuracy": value == 1.0, "abstained": value == ABSTAIN_VALUE, "wrong": value == 0.0}
    return Verdict(
        shares={name: Share(part=float(part)) for name, part in shares.items()}, details={"evidence": scored.evidence}
    )
