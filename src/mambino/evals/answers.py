"""Score answers that somebody else's model gave: JSONL rows joined with a suite by id or prompt.

Start at score_answers.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mambino.errors import FetchError, InputError
from mambino.evals.data import SuiteOptions
from mambino.evals.runner import Results, judge, results_of
from mambino.evals.task import AnswerJson, Sample, Task, Verdict
from mambino.evals.tasks import bfcl, ifeval, load_task
from mambino.evals.transcripts import Record

Row = Mapping[str, object]
# What every row must bring so that the suite's own data is not asked for; the first key alone is enough to be scored.
_SELF_CONTAINED = {
    "ifeval": ("instruction_id_list", "kwargs"),
    "ifbench": ("instruction_id_list", "kwargs"),
    "bfcl": ("function",),
}
_ID_KEYS = ("id", "key", "question_id", "task_id")
_RESPONSE_KEYS = ("response", "result", "output", "answer")
_PROMPT_KEYS = ("prompt", "question")


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
    """The suite; without its data where every row of path brings what the verifier needs, or some do and the data is
    out of reach."""
    suite = name.partition(":")[0]
    if options.folder is not None or suite not in _SELF_CONTAINED:
        return load_task(name, options)
    needed, rows = _SELF_CONTAINED[suite], [line.row for line in read_answers(path) if not line.fault]
    empty = bfcl.empty_task() if suite == "bfcl" else ifeval.empty_task(suite)
    if all(key in row for row in rows for key in needed):
        return empty
    try:
        return load_task(name, options)
    except FetchError:
        if any(needed[0] in row for row in rows):
            return empty
        raise


def score_answers(task: Task, path: Path) -> Results:
    """Score every row of path. A line that is no row, and a row without an answer or of no sample, is unscored with the
    reason; samples that no row answers are counted apart.

    Rows that name the same sample are all scored, the later ones under ids with #2, #3. What `mambino eval` kept of a
    run is scored anew.
    """
    index = SampleIndex(task)
    records: dict[str, Record] = {}
    kept: list[Sample] = []
    answered: set[str] = set()
    for line in read_answers(path):
        if set(line.row) == {"header"}:  # of our own transcripts
            continue
        sample, reason = index.find(line.row)
        name = _unused(sample.id if sample else _name(line), records)
        verdict = Verdict(unscored=(line.fault,)) if line.fault else _verdict(task, sample, reason, line.row)
        records[name] = Record(id=name, answer=line.row, verdict=verdict)
        kept.append(Sample(id=name))
        answered |= {sample.id} if sample else set()
    scored = Task(name=task.name, samples=tuple(kept), score=task.score, metrics=task.metrics, version=task.version)
    return replace(results_of(scored, str(path), records), unanswered=len(task.samples) - len(answered))


def _name(line: AnswerLine) -> str:
    return str(next((line.row[key] for key in _ID_KEYS if key in line.row), f"line {line.number}"))


class SampleIndex:
    """The samples of a task by id, and by the text that asks: the whole prompt, or the suite's bare question."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._by_id = {sample.id: sample for sample in task.samples}
        self._by_text: dict[str, list[Sample]] = {}
        for sample in task.samples:
            for text in {sample.prompt.strip(), str(sample.data.get("question") or "").strip()} - {""}:
                self._by_text.setdefault(text, []).append(sample)

    def find(self, row: Row) -> tuple[Sample | None, str]:
        """The sample that the row's id names, or the only one that has its prompt; else None and the reason.

        Where the row has another sample's prompt, its id is of another numbering.
        """
        text = _prompt(row)
        named = next((self._by_id[name] for name in _ids(row) if name in self._by_id), None)
        alike = self._by_text.get(text, [])
        if named is not None and (named in alike or not text):
            return named, ""
        if len(alike) == 1:
            return alike[0], ""
        if named is None and alike:
            return None, f"{len(alike)} samples of {self._task.name} have this prompt; name one by its id"
        if named is not None and self._task.is_generated:
            return None, f"the prompt is not that of {named.id}: generated with another --length, --seed or --text"
        return named, "" if named else f"no sample of {self._task.name} has this id or prompt"


def _ids(row: Row) -> Iterator[str]:
    """As written; numbers as whole numbers, which some table programs turn into 0.0."""
    for key in _ID_KEYS:
        value = row.get(key)
        if value is not None:
            yield str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _prompt(row: Row) -> str:
    """Text, or the last user message of a list."""
    prompt = next((row[key] for key in _PROMPT_KEYS if row.get(key)), None)
    if isinstance(prompt, list):
        users = [item for item in prompt if isinstance(item, Mapping) and item.get("role") == "user"]
        prompt = users[-1].get("content") if users else ""
    return str(prompt or "").strip()


def _verdict(task: Task, sample: Sample | None, reason: str, row: Row) -> Verdict:
    answer = _answer(row, {} if sample is None else sample.data)
    if answer is None:
        return Verdict(unscored=("the row has no response",))
    if sample is None:
        if "instruction_id_list" not in row and "function" not in row:
            return Verdict(unscored=(reason,))
        sample = Sample(id="", data=row)
    elif "instruction_id_list" in row and "kwargs" in row:  # the row's own instructions go before the suite's
        sample = Sample(id=sample.id, messages=sample.messages, data=row)
    return judge(task, sample, answer, scores_unfinished=True)


def _answer(row: Row, gold: Row) -> AnswerJson | None:
    """The row with its answer as response (text or calls), beside tool_calls; None where it has neither.

    gold: what the suite's own row holds; a column of the same name is a copy of that, no answer.
    """
    kept = row.get("answer")
    if isinstance(kept, Mapping):  # a line of our own transcripts
        row = {**row, **kept}
    key = next((key for key in _RESPONSE_KEYS if key in row and (key == "response" or key not in gold)), None)
    response = None if key is None else row[key]
    if response is None and not row.get("tool_calls"):
        return None
    return {**row, "response": response}


def _unused(name: str, taken: Mapping[str, Record]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}#{number}"
    return candidate
