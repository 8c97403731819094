"""MMLU: four choices, decided by the log-probability of the letter. Start at load."""

from collections.abc import Iterator
from pathlib import Path

from mambino.errors import InputError
from mambino.evals.data import Row, Source, SuiteOptions, read_rows
from mambino.evals.ranking import best_option, rank_options
from mambino.evals.task import AnswerJson, Player, Sample, Share, Task, Verdict, first, response_text, single
from mambino.evals.tasks import only_part
from mambino.scoring.answers import score_choice

LETTERS = "ABCD"
SOURCE = Source(names=(), repo="cais/mmlu", file="all/test-00000-of-00001.parquet")


def load(options: SuiteOptions, part: str) -> Task:
    only_part("mmlu", part, ())
    samples = first(_samples(options), options.limit)
    return Task(name="mmlu", samples=samples, score=score, metrics=("accuracy",), attempt=attempt)


def _samples(options: SuiteOptions) -> Iterator[Sample]:
    for subject, rows in _subjects(options):
        for index, row in enumerate(rows):
            choices = _choices(row)
            lines = [
                str(row["question"]),
                *(f"{letter}. {text}" for letter, text in zip(LETTERS, choices, strict=True)),
            ]
            about = str(row.get("subject", subject)).replace("_", " ")
            prompt = f"The following is a multiple choice question about {about}.\n\n" + "\n".join(lines) + "\nAnswer:"
            data = {"prompt": prompt, "question": row["question"], "answer": int(str(row["answer"]))}
            yield Sample(id=f"{subject}-{index}", data=data)


def _subjects(options: SuiteOptions) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """A folder's files SUBJECT_test.csv, else SUBJECT_dev.csv; without a folder the hub's one file."""
    if options.folder is None:
        yield "all", options.rows("mmlu", SOURCE)
        return
    root = options.folder / "mmlu" if (options.folder / "mmlu").is_dir() else options.folder
    files = sorted(root.rglob("*_test.csv")) or sorted(root.rglob("*_dev.csv"))
    if not files:
        raise InputError(f"[eval] mmlu: no SUBJECT_test.csv or SUBJECT_dev.csv in {root}")
    for file in files:
        yield _subject(file), tuple(read_rows(file))


def _subject(file: Path) -> str:
    return file.stem.removesuffix("_test").removesuffix("_dev")


def _choices(row: Row) -> list[str]:
    found = row.get("choices")
    if isinstance(found, list):
        return [str(text) for text in found]
    return [str(row[f"choice{index}"]) for index in range(len(LETTERS))]


def attempt(sample: Sample, player: Player) -> AnswerJson:
    return rank_options(player, str(sample.data["prompt"]), [f" {letter}" for letter in LETTERS])


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    """By log-probability; an answer of somebody else's model, which has none, by the letter that it names."""
    if "logprobs" not in answer and isinstance(answer.get("response"), str):
        return single("accuracy", score_choice(response_text(answer), LETTERS[int(str(sample.data["answer"]))]))
    chosen = best_option(answer)
    return Verdict(
        shares={"accuracy": Share(part=float(chosen == sample.data["answer"]))}, details={"evidence": LETTERS[chosen]}
    )
