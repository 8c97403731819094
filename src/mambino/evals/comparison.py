"""Two runs side by side, paired by sample. Start at compare_runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mambino.errors import InputError
from mambino.evals.statistics import Difference, compare
from mambino.evals.task import Share
from mambino.evals.transcripts import Header, Record, read_transcripts


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric of one suite: the two models' names, and B minus A."""

    suite: str
    metric: str
    a: str
    b: str
    difference: Difference


def compare_runs(a: Path, b: Path) -> tuple[Compared, ...]:
    """Every metric that both runs have. A run is a folder of transcripts, or one file.

    Raises     InputError if they have no suite in common
    """
    runs_a, runs_b = _suites(a), _suites(b)
    compared = []
    for suite in runs_a:
        if suite in runs_b:
            (head_a, records_a), (head_b, records_b) = runs_a[suite], runs_b[suite]
            _require_same_samples(head_a, head_b)
            metrics = dict.fromkeys(name for record in records_a for name in record.verdict.shares)
            for metric in metrics:
                difference = compare(_shares(records_a, metric), _shares(records_b, metric))
                if difference is not None:
                    compared.append(
                        Compared(suite=suite, metric=metric, a=head_a.model, b=head_b.model, difference=difference)
                    )
    if not compared:
        raise InputError(f"[eval] {a} and {b} have no scored samples in common")
    return tuple(compared)


def _require_same_samples(a: Header, b: Header) -> None:
    """Generated texts have the same ids whatever they are generated from."""
    if a.suite.partition(":")[0] != "ruler":
        return
    for key in ("length", "seed", "text"):
        if a.settings.get(key) != b.settings.get(key):
            raise InputError(
                f"[eval] {a.suite}: {key} {a.settings.get(key)} against {b.settings.get(key)}: not the same texts; run "
                "both with the same"
            )


def _suites(path: Path) -> Mapping[str, tuple[Header, tuple[Record, ...]]]:
    """suite -> (what it is, records)."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files or not files[0].is_file():
        raise InputError(f"[eval] {path}: no transcripts here; give the folder that --out named, or one of its files")
    read = [read_transcripts(file) for file in files]
    return {header.suite: (header, records) for header, records in read}


def _shares(records: tuple[Record, ...], metric: str) -> Mapping[str, Share]:
    return {record.id: record.verdict.shares[metric] for record in records if metric in record.verdict.shares}
