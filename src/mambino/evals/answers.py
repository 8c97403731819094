"""Score answers that somebody else's model gave: JSONL rows joined with a suite by id or prompt.

Start at score_answers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    "bfcl": ("function",),
}
_ID_KEYS = ("id", "key", "question_id", "task_id")
_RESPONSE_KEYS = ("response", "result", "output", "answer", "tool_calls")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLine:
    """One row of a file, or what is wrong with it."""

    number: int
    row: Row = field(default_factory=dict)
    fault: str = ""


def read_answers(path: Path) -> tuple[AnswerLine, ...]:
    """All rows of JSON lines or of one JSON array; empty lines are left out.

    Raises     InputError for a file that is not UTF-8 text, or has no sound row
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"[eval] {path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    lines = _array(text) if text.lstrip().startswith("[") else None
    if lines is None:  # by line feeds alone: other line ends may stand inside JSON strings
        lines = [_line(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if all(line.fault for line in lines):
        what = f"line {lines[0].number}: {lines[0].fault}" if lines else "it is empty"
        raise InputError(f"[eval] {path} holds no answers; {what}; expected a JSON object a line")
    return tuple(lines)


def _array(text: str) -> list[AnswerLine] | None:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return [_checked(number, row) for number, row in enumerate(rows, 1)]


def _line(number: int, text: str) -> AnswerLine:
    try:
        return _checked(number, json.loads(text))
    except (ValueError, RecursionError) as error:
        return AnswerLine(number=number, fault=f"not JSON: {error}")


def _checked(number: int, row: object) -> AnswerLine:
    if isinstance(row, Mapping):
        return AnswerLine(number=number, row=row)
    return AnswerLine(number=number, fault=f"expected an object, got {type(row).__name__}")


def task_for_answers(name: str, options: SuiteOptions, path: Path) -> Task:
    """The suite; without its data where every row of path brings what the verifier needs."""
    suite = name.partition(":")[0]
    if options.folder is None and suite in _SELF_CONTAINED:
        needed = _SELF_CONTAINED[suite]
        if all(key in line.row for line in read_answers(path) if not line.fault for key in needed):
            return bfcl.empty_task() if suite == "bfcl" else ifeval.empty_task(suite)
    return load_task(name, options)


def score_answers(task: Task, path: Path) -> Results:
    """Score every row of path. A line that is no row, and a row without an answer or of no sample, is unscored with the
    reason; samples that no row answers are counted apart.

    Rows that name the same sample are all scored, the later ones under ids with #2, #3.
    """
    by_id = {sample.id: sample for sample in task.samples}
    by_prompt = {sample.prompt.strip(): sample for sample in task.samples if sample.prompt}
    records: dict[str, Record] = {}
    kept: list[Sample] = []
    answered: set[str] = set()
    for line in read_answers(path):
        sample = sample_of(line.row, by_id, by_prompt)
        name = _unused(sample.id if sample else _name(line), records)
        verdict = Verdict(unscored=(line.fault,)) if line.fault else _verdict(task, sample, line.row)
        records[name] = Record(id=name, answer=line.row, verdict=verdict)
        kept.append(Sample(id=name))
        answered |= {sample.id} if sample else set()
    scored = Task(name=task.name, samples=tuple(kept), score=task.score, metrics=task.metrics, version=task.version)
    return replace(results_of(scored, str(path), records), unanswered=len(by_id) - len(answered))


def _name(line: AnswerLine) -> str:
    return str(next((line.row[key] for key in _ID_KEYS if key in line.row), f"line {line.number}"))


def sample_of(row: Row, by_id: Mapping[str, Sample], by_prompt: Mapping[str, Sample]) -> Sample | None:
    """The sample that the row's id names; where the row has another sample's prompt, its id is of another numbering."""
    prompt = _prompt(row)
    named = next((by_id[str(row[key])] for key in _ID_KEYS if str(row.get(key)) in by_id), None)
    if named is not None and named.prompt.strip() == prompt:
        return named
    return by_prompt.get(prompt, named)


def _prompt(row: Row) -> str:
    """Text, or the last user message of a list."""
    prompt = row.get("prompt")
    if isinstance(prompt, list):
        users = [item for item in prompt if isinstance(item, Mapping) and item.get("role") == "user"]
        prompt = users[-1].get("content") if users else ""
    return str(prompt or "").strip()


def _verdict(task: Task, sample: Sample | None, row: Row) -> Verdict:
    given = [key for key in _RESPONSE_KEYS if row.get(key) is not None]
    if not given:
        return Verdict(unscored=("the row has no response",))
    if sample is None:
        sample = Sample(id="", data=row)
        if "instruction_id_list" not in row and "function" not in row:
            return Verdict(unscored=(f"no sample of {task.name} has this id or prompt",))
    elif "instruction_id_list" in row and "kwargs" in row:  # the row's own instructions go before the suite's
        sample = Sample(id=sample.id, messages=sample.messages, data=row)
    answer = {**row, "response": row[given[0]]}
    return judge(task, sample, answer, scores_unfinished=True)


def _unused(name: str, taken: Mapping[str, Record]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}#{number}"
    return candidate
