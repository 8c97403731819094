"""HaluEval: does the model recognise a hallucinated answer (yes or no)? qa pairs or the general set. Start at load."""

from collections.abc import Iterator

from mambino.evals.data import Row, Source, SuiteOptions
from mambino.evals.task import AnswerJson, Sample, Task, Verdict, first, response_text, single, user
from mambino.evals.tasks import only_part
from mambino.scoring.answers import score_yes_no

PARTS = ("qa", "general")
SOURCES = {
    "qa": Source(
        names=("qa_one-turn_data.json", "qa_data.json"),
        repo="pminervini/HaluEval",
        file="qa/data-00000-of-00001.parquet",
    ),
    "general": Source(
        names=("general_data.json",), repo="pminervini/HaluEval", file="general/data-00000-of-00001.parquet"
    ),
}
_END = "\nDoes the answer contain non-factual or hallucinated information? Answer with Yes or No only."


def load(options: SuiteOptions, part: str) -> Task:
    only_part("halueval", part, PARTS)
    part = part or "qa"
    rows = options.rows("halueval", SOURCES[part])
    samples = _qa(rows) if part == "qa" else _general(rows)
    return Task(
        name="halueval" if part == "qa" else f"halueval:{part}",
        samples=first(samples, options.limit),
        score=score,
        metrics=("accuracy",),
    )


def _qa(rows: tuple[Row, ...]) -> Iterator[Sample]:
    """Each question twice: with the right answer (No) and with the hallucinated one (Yes)."""
    for index, row in enumerate(rows):
        for kind, expected in (("right_answer", False), ("hallucinated_answer", True)):
            text = f"Knowledge: {row['knowledge']}\nQuestion: {row['question']}\nAnswer: {row[kind]}{_END}"
            yield Sample(id=f"{index}-{kind}", messages=user(text), data={"is_hallucinated": expected})


def _general(rows: tuple[Row, ...]) -> Iterator[Sample]:
    for index, row in enumerate(rows):
        text = f"Question: {row['user_query']}\nAnswer: {row['chatgpt_response']}{_END}"
        name = str(row.get("ID", index))
        yield Sample(id=name, messages=user(text), data={"is_hallucinated": row["hallucination"] == "yes"})


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    return single("accuracy", score_yes_no(response_text(answer), bool(sample.data["is_hallucinated"])))
