"""GSM8K: grade-school mathematics, the final number. Start at load."""

from mambino.evals.data import Source, SuiteOptions
from mambino.evals.task import AnswerJson, Sample, Task, Verdict, first, response_text, single, user
from mambino.evals.tasks import only_part
from mambino.scoring.answers import score_number

SOURCE = Source(
    names=("test.jsonl", "gsm8k.jsonl", "train.jsonl"), repo="openai/gsm8k", file="main/test-00000-of-00001.parquet"
)
ASK = "Solve the problem step by step. End with a line that says #### and the final number.\n\n"


def load(options: SuiteOptions, part: str) -> Task:
    only_part("gsm8k", part, ())
    samples = (
        Sample(
            id=str(index),
            messages=user(ASK + str(row["question"])),
            data={"answer": str(row["answer"]).rpartition("####")[2].strip(), "question": row["question"]},
        )
        for index, row in enumerate(options.rows("gsm8k", SOURCE))
    )
    return Task(name="gsm8k", samples=first(samples, options.limit), score=score, metrics=("accuracy",))


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    return single("accuracy", score_number(response_text(answer), str(sample.data["answer"])))
