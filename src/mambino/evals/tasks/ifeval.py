"""IFEval: does a response follow every instruction? Prompt and instruction level, strict and loose. Start at load."""

from collections.abc import Mapping, Sequence
from typing import cast

from mambino.errors import InputError
from mambino.evals.data import Row, Source, SuiteOptions
from mambino.evals.task import AnswerJson, Sample, Share, Task, Verdict, first, response_text, user
from mambino.evals.tasks import only_part
from mambino.scoring.answers import without_thinking
from mambino.scoring.instructions import InstructionVerdict, check_instructions, verifier_version

SOURCE = Source(
    names=("input_data.jsonl", "ifeval_input_data.jsonl", "ifeval.jsonl"),
    repo="google/IFEval",
    file="ifeval_input_data.jsonl",
)
METRICS = ("prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose")


def load(options: SuiteOptions, part: str) -> Task:
    only_part("ifeval", part, ())
    return instruction_task("ifeval", options, SOURCE)


def instruction_task(suite: str, options: SuiteOptions, source: Source) -> Task:
    """A suite whose rows are IFEval's: key, prompt, instruction_id_list, kwargs."""
    samples = (
        Sample(id=str(row["key"]), messages=user(str(row["prompt"])), data=row) for row in options.rows(suite, source)
    )
    return empty_task(suite, first(samples, options.limit))


def empty_task(suite: str, samples: tuple[Sample, ...] = ()) -> Task:
    """Without samples it still scores rows that carry their own instructions."""
    return Task(name=suite, samples=samples, score=score, metrics=METRICS, version=verifier_version())


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    instructions, arguments = _instructions(sample.data)
    verdicts = check_instructions(
        without_thinking(response_text(answer)),
        prompt=str(sample.data.get("prompt", sample.prompt)),
        instructions=instructions,
        arguments=arguments,
    )
    return Verdict(
        shares=_shares("strict", [verdict.strict for verdict in verdicts])
        | _shares("loose", [verdict.loose for verdict in verdicts]),
        unscored=tuple(f"{verdict.instruction}: {verdict.reason}" for verdict in verdicts if verdict.reason),
        details={"instructions": [_details(verdict) for verdict in verdicts]},
    )


def _instructions(row: Row) -> tuple[Sequence[str], Sequence[Mapping[str, object] | None]]:
    """Instructions with their arguments; a row without kwargs has instructions that take none."""
    instructions = row.get("instruction_id_list")
    if not isinstance(instructions, list):
        raise InputError("[eval] expected a list instruction_id_list")
    arguments = row.get("kwargs") or [None] * len(instructions)
    if not isinstance(arguments, list) or len(instructions) != len(arguments):
        raise InputError("[eval] kwargs: expected a list with an entry for each instruction")
    if not all(given is None or isinstance(given, Mapping) for given in arguments):
        raise InputError("[eval] kwargs: expected objects")
    return instructions, cast(Sequence[Mapping[str, object] | None], arguments)


def _shares(mode: str, followed: Sequence[bool | None]) -> dict[str, Share]:
    """Of an instruction without a verdict only this is known: the prompt fails if another one does."""
    known = [verdict for verdict in followed if verdict is not None]
    shares: dict[str, Share] = {}
    if known:
        shares[f"instruction_{mode}"] = Share(part=sum(known), whole=len(known))
    if len(known) == len(followed) or not all(known):
        shares[f"prompt_{mode}"] = Share(part=float(all(known)))
    return shares


def _details(verdict: InstructionVerdict) -> dict[str, object]:
    details: dict[str, object] = {
        "instruction": verdict.instruction,
        "strict": verdict.strict,
        "loose": verdict.loose,
    }
    return details | ({"reason": verdict.reason} if verdict.reason else {})
