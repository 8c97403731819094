"""Score answers that somebody else's model gave: JSONL rows joined with a suite by id or prompt.

Start at score_answers.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from mambino.errors import InputError
from mambino.evals.data import SuiteOptions
from mambino.evals.runner import Results, judge, results_of
from mambino.evals.task import Sample, Task, Verdict
from mambino.evals.tasks import bfcl, ifeval, load_task
from mambino.evals.transcripts import Record

Row = Mapping[str, object]
# What a row must bring to be scored without the suite's own data.
_SELF_CONTAINED = {
    "ifeval": ("instruction_id_list", "kwargs"),
    "ifbench": ("instruction_id_list", "kwargs"),
    "bfcl": ("function", "ground_truth"),
}
_ID_KEYS = ("id", "key", "question_id", "task_id")
_RESPONSE_KEYS = ("response", "result", "output", "answer", "tool_calls")


def read_answers(path: Path) -> Iterator[tuple[int, Row]]:
    """(line number, row) of each line; a JSON array works, too. Raises InputError that names a bad line."""
    text = path.read_text(encoding="utf-8-sig")
    if text.lstrip().startswith("["):
        try:
            rows = json.loads(text)
        except ValueError as error:
            raise InputError(f"[eval] {path}: {error}") from error
        yield from ((index, _row(path, index, row)) for index, row in enumerate(rows, 1))
        return
    for index, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"[eval] {path} line {index}: not JSON: {error}") from error
            yield index, _row(path, index, row)


def _row(path: Path, index: int, row: object) -> Row:
    if not isinstance(row, Mapping):
        raise InputError(f"[eval] {path} line {index}: expected an object, got {type(row).__name__}")
    return row


def task_for_answers(name: str, options: SuiteOptions, path: Path) -> Task:
    """The suite; without its data where every row of path brings what the verifier needs."""
    suite = name.partition(":")[0]
    if options.folder is None and suite in _SELF_CONTAINED:
        needed = _SELF_CONTAINED[suite]
        if all(key in row for _, row in read_answers(path) for key in needed):
            return bfcl.empty_task() if suite == "bfcl" else ifeval.empty_task(suite)
    return load_task(name, options)


def score_answers(task: Task, path: Path) -> Results:
    """Score every row of path. A row without an answer, or of no sample of the suite, is unscored with the reason.

    Rows that name the same sample are all scored, the later ones under ids with #2, #3.
    """
    by_id = {sample.id: sample for sample in task.samples}
    by_prompt = {sample.prompt.strip(): sample for sample in task.samples if sample.prompt}
    records: dict[str, Record] = {}
    kept: list[Sample] = []
    for number, row in read_answers(path):
        sample = sample_of(row, by_id, by_prompt)
        name = sample.id if sample else str(next((row[key] for key in _ID_KEYS if key in row), f"line {number}"))
        name = _unused(name, records)
        record = Record(id=name, answer=row, verdict=_verdict(task, sample, row))
        records[name] = record
        kept.append(Sample(id=name))
    scored = Task(name=task.name, samples=tuple(kept), score=task.score, metrics=task.metrics, version=task.version)
    return results_of(scored, str(path), records)


def sample_of(row: Row, by_id: Mapping[str, Sample], by_prompt: Mapping[str, Sample]) -> Sample | None:
    for key in _ID_KEYS:
        if str(row.get(key)) in by_id:
            return by_id[str(row[key])]
    return by_prompt.get(str(row.get("prompt", "")).strip())


def _verdict(task: Task, sample: Sample | None, row: Row) -> Verdict:
    given = [key for key in _RESPONSE_KEYS if row.get(key) is not None]
    if not given:
        return Verdict(unscored=("the row has no response",))
    if sample is None:
        sample = Sample(id="", data=row)
        if "instruction_id_list" not in row and "ground_truth" not in row:
            return Verdict(unscored=(f"no sample of {task.name} has this id or prompt",))
    elif "instruction_id_list" in row:  # the row's own instructions go before the suite's
        sample = Sample(id=sample.id, messages=sample.messages, data=row)
    answer = {**row, "response": row[given[0]]}
    return judge(task, sample, answer, scores_unfinished=True)


def _unused(name: str, taken: Mapping[str, Record]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}#{number}"
    return candidate
