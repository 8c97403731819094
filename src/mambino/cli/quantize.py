"""`mambino quantize`: write a model with fewer bits a weight. Start at command."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from mambino.cli.calibration import (
    CalibrationText,
    KlMeasure,
    measured_importance,
    read_text,
    requantising_note,
)
from mambino.cli.options import debug_option, json_option
from mambino.cli.progress import progress_bar
from mambino.cli.terminal import human_bytes, human_count, note
from mambino.compress.offered import offered_subs
from mambino.compress.plan_search import SearchResult, groups_of, search_plan
from mambino.errors import InputError
from mambino.export.place import require_place
from mambino.export.quantize import cut_shapes, mix_plan, overhead_nbytes, quantize, require_fit, shapes_of
from mambino.export.verify import TensorError, verify
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.formats.imatrix import read_imatrix, write_imatrix
from mambino.formats.mapped import replacing
from mambino.hub.local import resolve
from mambino.lm import Float32Array
from mambino.quant.mixes import MIXES, described, plan_for_mix
from mambino.quant.plan import KindSize, QuantPlan, kind_of, plan_from_json, sizes_by_kind
from mambino.quant.types import F32

_DEFAULT_MIX = "m4"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, path_type=Path)

Importance = Mapping[str, Float32Array]


@click.command(
    epilog="\b\nMixes:\n" + "\n".join("  " + line for line in described().splitlines()),
)
@click.argument("source", metavar="SRC")
@click.argument("destination", metavar="[DST]", required=False, type=_NEW_FILE)
@click.option(
    "--mix", type=click.Choice(list(MIXES)), metavar="NAME", help=f"One of those below.  [default: {_DEFAULT_MIX}]"
)
@click.option("--plan", "plan_file", type=_FILE, help="A type for every tensor, as --save-plan writes them.")
@click.option(
    "--size", metavar="SIZE", help="Search the best plan for a file of at most SIZE (2.4GiB); needs --calibrate."
)
@click.option(
    "--calibrate", "text_file", type=_FILE, help="A text: weigh columns by what reaches them (needs PyTorch)."
)
@click.option("--calibrate-tokens", type=click.IntRange(128), default=16384, show_default=True, metavar="N")
@click.option(
    "--importance",
    "importance_file",
    type=_FILE,
    help="Column weights: --save-importance, or llama.cpp's imatrix GGUF.",
)
@click.option("--save-importance", type=_NEW_FILE, help="Keep what --calibrate measured.")
@click.option("--save-plan", type=_NEW_FILE, help="Keep the plan, as JSON that can be edited.")
@click.option("--notes", type=_NEW_FILE, help="Measurements of --size, to go on with.  [default: DST.search.json]")
@click.option("--dry-run", is_flag=True, help="Only show the plan and its size.")
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", help="[default: all cores]")
@json_option
@debug_option
def command(
    source: str,
    destination: Path | None,
    mix: str | None,
    plan_file: Path | None,
    size: str | None,
    text_file: Path | None,
    calibrate_tokens: int,
    importance_file: Path | None,
    save_importance: Path | None,
    save_plan: Path | None,
    notes: Path | None,
    dry_run: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Write SRC (a .gguf file, a Hugging Face folder, or a fetched model) to DST, a GGUF file of fewer bits.

    Source types should be F32, F16, BF16 or Q8_0. One tensor is in memory at a time, DST appears whole or not at all,
    and afterwards it is opened again and compared with SRC. Sizes that SRC offers can be cut out of DST, too: where a
    mix's blocks are too wide for that, it takes narrower ones.

    \b
    mambino quantize model-f16.gguf small.gguf --mix q4_k_m
    mambino quantize hf-folder small.gguf --calibrate text.txt         better: weighted by what matters
    mambino quantize hf-folder small.gguf --calibrate text.txt --size 2.4GiB --notes search.json
    mambino quantize model-f16.gguf --mix m5 --dry-run                 only what it would take
    """
    if sum(option is not None for option in (mix, plan_file, size)) > 1:
        raise click.UsageError("--mix, --plan and --size exclude each other")
    if size is not None and text_file is None:
        raise click.UsageError("--size measures what each group costs: it needs a text, --calibrate FILE")
    if destination is None and not dry_run:
        raise click.UsageError("Missing argument 'DST'; or say --dry-run")
    for path in (destination, save_plan, save_importance, None if notes is None or notes.exists() else notes):
        if path is not None:
            require_place(path)
    threads = threads or os.cpu_count() or 1
    max_nbytes = None if size is None else parse_size(size)
    checkpoint = open_checkpoint(resolve(source))
    plan = _stated_plan(checkpoint, mix, plan_file) if max_nbytes is None else _smallest_plan(checkpoint, max_nbytes)
    text = None if text_file is None else read_text(checkpoint, text_file, calibrate_tokens)
    importance = _importance(checkpoint, importance_file, text, save_importance, threads)
    kl = None
    if max_nbytes is not None and text is not None:
        notes = notes or (destination and destination.with_name(destination.name + ".search.json"))
        result = _searched(checkpoint, max_nbytes, text, importance, notes, threads)
        plan, kl = result.plan, result.measured_kl
    if save_plan is not None:
        with replacing(save_plan) as file:
            file.write(plan.to_json().encode())
    errors = [] if destination is None or dry_run else _written(checkpoint, destination, plan, importance, threads)
    report = _Report(plan, sizes_by_kind(plan, shapes_of(checkpoint)), overhead_nbytes(checkpoint), kl, errors)
    print(json.dumps(report.to_json()) if as_json else "\n".join(report.lines()))


def parse_size(text: str) -> int:
    """2.4GiB, 800MB, 123456 -> bytes. Raises InputError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]i?)?b?", text.strip().lower())
    if match is None or float(match[1]) == 0:
        raise InputError(f"[quantize] --size: expected a size such as 2.4GiB or 800MB, got {text!r}")
    return int(float(match[1]) * _UNITS[match[2] or ""])


def _stated_plan(checkpoint: Checkpoint, mix: str | None, plan_file: Path | None) -> QuantPlan:
    """From --plan or --mix. Raises InputError if it does not fit the model or a size that it offers."""
    if plan_file is None:
        plan = mix_plan(checkpoint, mix or _DEFAULT_MIX)
        _note_narrowed(checkpoint, plan)
        return plan
    plan = plan_from_json(plan_file.read_bytes(), str(plan_file))
    require_fit(checkpoint, plan)
    return plan


def _note_narrowed(checkpoint: Checkpoint, plan: QuantPlan) -> None:
    """Say where the sizes that the model offers cost bits."""
    alone = plan_for_mix(plan.name, shapes_of(checkpoint))
    if changed := sum(plan.types[own] != alone.types[own] for own in plan.types):
        sizes = ", ".join(offered_subs(checkpoint))
        note(f"{changed} matrices get narrower blocks than {plan.name} has, so that {sizes} can be cut out of the file;"
             f" for one size alone, `mambino compress slice --budget 100% --mix {plan.name}`")  # fmt: skip


def _smallest_plan(checkpoint: Checkpoint, max_nbytes: int) -> QuantPlan:
    """What --size starts from. Raises InputError if even that is too much, or cuts off an offered size."""
    shapes = cut_shapes(checkpoint)
    smallest = {own: group.offered[0] for group in groups_of(shapes) for own in group.owns}
    plan = QuantPlan(name="--size", types={own: smallest.get(own, F32) for own in shapes})
    nbytes = plan.nbytes(shapes) + overhead_nbytes(checkpoint)
    if nbytes > max_nbytes:
        raise InputError(
            f"[quantize] --size: expected at least {human_bytes(nbytes)} ({nbytes} bytes), what the smallest types "
            f"take, got {max_nbytes} bytes"
        )
    require_fit(checkpoint, plan)
    return plan


def _importance(
    checkpoint: Checkpoint, file: Path | None, text: CalibrationText | None, save_to: Path | None, threads: int
) -> Importance | None:
    """Read from file, or measured on text and kept in save_to, or none."""
    if file is not None:
        return read_imatrix(file, checkpoint.config)
    if text is None:
        return None
    importance = measured_importance(checkpoint, text, threads)
    if save_to is not None:
        write_imatrix(save_to, importance, {"source": checkpoint.path.name, "text": text.digest})
    return importance


def _searched(
    checkpoint: Checkpoint,
    max_nbytes: int,
    text: CalibrationText,
    importance: Importance | None,
    notes: Path | None,
    threads: int,
) -> SearchResult:
    """The best plan found for a file of max_nbytes."""
    measure = KlMeasure(checkpoint, text.measuring, importance, threads)
    with progress_bar() as report:
        return search_plan(
            cut_shapes(checkpoint),
            max_nbytes - overhead_nbytes(checkpoint),
            measure,
            notes=notes,
            about=f"{checkpoint.path.resolve().name} {checkpoint.nbytes} {text.digest} {bool(importance)}",
            on_progress=report,
        )


def _written(
    checkpoint: Checkpoint, destination: Path, plan: QuantPlan, importance: Importance | None, threads: int
) -> list[TensorError]:
    """Write the file, open it again, compare."""
    if (warning := requantising_note(checkpoint, plan)) is not None:
        note(f"warning: {warning}")
    with progress_bar() as report:
        quantize(checkpoint, destination, plan, importance=importance, threads=threads, on_progress=report)
    errors = verify(checkpoint, destination, plan, importance)
    note(f"written, opened again and compared: {destination}")
    return errors


@dataclass(frozen=True, slots=True)
class _Report:
    """What was chosen and what came of it. kl is measured by --size only; errors are those of the written file."""

    plan: QuantPlan
    kinds: list[KindSize]
    overhead_nbytes: int
    kl: float | None
    errors: list[TensorError]

    @property
    def nbytes(self) -> int:
        return sum(kind.nbytes for kind in self.kinds) + self.overhead_nbytes

    @property
    def bits_per_weight(self) -> float:
        return 8 * sum(kind.nbytes for kind in self.kinds) / sum(kind.parameters for kind in self.kinds)

    def lines(self) -> list[str]:
        lines = [f"plan {self.plan.name}", f"  {'kind':<12}{'tensors':>7}{'weights':>10}{'bits':>7}{'size':>10}  types"]
        for kind in self.kinds:
            types = ", ".join(f"{count} {name}" if len(kind.types) > 1 else name for name, count in kind.types.items())
            found = [error.weighted for error in self.errors if kind_of(error.own) == kind.kind]
            lines.append(
                f"  {kind.kind:<12}{kind.tensors:>7}{human_count(kind.parameters):>10}{kind.bits_per_weight:>7.2f}"
                f"{human_bytes(kind.nbytes):>10}  {types}" + (f"  (error {100 * max(found):.2f} %)" if found else "")
            )
        lines.append(f"  {'file':<12}{'':>17}{self.bits_per_weight:>7.2f}{human_bytes(self.nbytes):>10}")
        return lines if self.kl is None else [*lines, f"  KL to the source on held-out text: {self.kl:.5f} nats"]

    def to_json(self) -> dict[str, object]:
        kinds = [
            {"kind": kind.kind, "tensors": kind.tensors, "parameters": kind.parameters, "nbytes": kind.nbytes}
            | {"types": dict(kind.types)}
            for kind in self.kinds
        ]
        return {
            "plan": self.plan.name,
            "nbytes": self.nbytes,
            "bits_per_weight": self.bits_per_weight,
            "kl": self.kl,
            "kinds": kinds,
            "errors": {error.own: round(error.weighted, 6) for error in self.errors},
        }
