"""llama.cpp beside the efficiency suite: the same file, prompt lengths and answer lengths. Start at peer_results."""

from pathlib import Path
from typing import cast

from mambino.cli.bench import peer_record
from mambino.cli.terminal import note
from mambino.errors import InputError
from mambino.evals.runner import Results, summaries
from mambino.evals.task import Sample
from mambino.evals.tasks import efficiency
from mambino.evals.transcripts import Record
from mambino.formats.checkpoint import open_checkpoint


def require_gguf(path: Path) -> None:
    """Raises InputError for a model that llama.cpp cannot read."""
    if open_checkpoint(path).kind != "gguf":
        raise InputError("[eval] --peer: llama.cpp reads GGUF files only; convert the folder with `mambino quantize`")


def peer_results(ours: Results, python: str, path: Path, *, threads: int) -> Results:
    """What llama.cpp takes for the prompts and answers of ours, token for token, in a process for each.

    The better of its runs without and with flash attention counts, for reading and for writing. Its first token costs
    no sampling.

    Raises     InputError if llama.cpp fails
    """
    records: dict[str, Record] = {}
    version = ""
    for name, record in ours.records.items():
        if record.answer is None or record.verdict.unscored:
            continue
        prompt, written = (cast(int, record.answer[key]) for key in ("prompt_tokens", "completion_tokens"))
        note(f"llama.cpp: {prompt} + {written} tokens")
        runs = [peer_record(python, path, prompt, max(1, written), threads, flash=flash) for flash in (False, True)]
        first = min(run.prompt_s for run in runs)
        version = runs[0].version
        answer = {
            "first_token_s": first, "elapsed_s": first + min(run.decode_s for run in runs), "prompt_tokens": prompt,
            "completion_tokens": written, "peak_mb": min(run.peak_nbytes for run in runs) / 1e6,
        }  # fmt: skip
        verdict = efficiency.score(Sample(id=name, data={"level": name.partition("-")[0]}), answer)
        records[name] = Record(id=name, answer=answer, verdict=verdict)
    metrics = summaries(tuple(ours.metrics), records.values())
    how = f"{ours.version}, C API, {threads} threads"
    return Results(
        suite=ours.suite, model=f"llama.cpp (llama-cpp-python {version})", version=how, records=records, metrics=metrics
    )
