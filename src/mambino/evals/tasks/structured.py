"""Structured output: one document of a schema (rows of NeMo-Gym's structured_outputs). Start at load."""

import json

from mambino.errors import InputError
from mambino.evals.data import Source, SuiteOptions
from mambino.evals.gym_rows import conversation
from mambino.evals.task import AnswerJson, Sample, Share, Task, Verdict, calls_made, first, response_text
from mambino.evals.tasks import only_part
from mambino.scoring.scored import wrong
from mambino.scoring.structured import Format, score_structured

SOURCE = Source(names=("structured.jsonl", "example.jsonl"))
FORMATS: tuple[Format, ...] = ("json", "yaml", "xml", "toml", "csv")


def load(options: SuiteOptions, part: str) -> Task:
    only_part("structured", part, ())
    samples = (conversation(str(index), row, row) for index, row in enumerate(options.rows("structured", SOURCE)))
    return Task(name="structured", samples=first(samples, options.limit), score=score, metrics=("accuracy", *FORMATS))


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    """Rows with a tool want the document as the arguments of exactly one call of it."""
    form = str(sample.data.get("schema_type"))
    if form not in FORMATS:
        raise InputError(f"[eval] schema_type {form!r}: expected one of {', '.join(FORMATS)}")
    schema = json.loads(str(sample.data["schema_str"]))
    tool = sample.data.get("tool_name")
    if tool is None:
        scored = score_structured(response_text(answer), schema, form)
    else:
        calls = calls_made(answer)
        if len(calls) != 1 or calls[0].name != tool:
            scored = wrong(f"expected one call of {tool}")
        else:
            key = sample.data.get("tool_payload_key")
            payload = calls[0].arguments.get(str(key)) if key else calls[0].arguments
            scored = score_structured(json.dumps(payload), schema, "json")
    share = Share(part=scored.value or 0.0)
    return Verdict(shares={"accuracy": share, form: share}, details={"evidence": scored.evidence})
