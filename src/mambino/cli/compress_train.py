"""`mambino compress train`: teach a ranked model to be good at several sizes. Start at command."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mambino.cli.compress_options import (
    TextOptions,
    budget_options,
    chosen_budgets,
    documents_of,
    held_out_batches,
    module_of,
    open_parent,
    require_fresh,
    stream_of,
    text_options,
    write_model,
)
from mambino.cli.compress_rank import RANKING
from mambino.cli.options import debug_option
from mambino.cli.terminal import human_bytes, human_count, note
from mambino.cli.torch_extra import require_torch
from mambino.compress.space import candidates, default_space
from mambino.compress.sub import SubConfig
from mambino.errors import Unsupported
from mambino.formats.checkpoint import Checkpoint
from mambino.train.data import Batch, Documents

if TYPE_CHECKING:
    from mambino.compress.elastic import ElasticLoss
    from mambino.model.hybrid import HybridLM


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps at a row size; shares of steps for 100 % and then each budget, None for even ones."""

    steps: int
    row_size: int
    shares: tuple[float, ...] | None


def read_stage(text: str) -> Stage:
    """STEPSxROW_SIZE[:SHARE/SHARE/...], such as 500x2048:50/30/20. Raises UsageError."""
    sizes, _, shares = text.partition(":")
    try:
        steps, row_size = (int(number) for number in sizes.split("x"))
        parsed = tuple(float(share) for share in shares.split("/")) if shares else None
    except ValueError:
        raise click.UsageError(f"--stage {text}: expected STEPSxTOKENS or STEPSxTOKENS:SHARE/SHARE/...") from None
    if steps < 1 or row_size < 8:
        raise click.UsageError(f"--stage {text}: expected at least 1 step and rows of at least 8 tokens")
    if parsed is not None and not all(0 < share < math.inf for share in parsed):
        raise click.UsageError(f"--stage {text}: expected positive shares")
    return Stage(steps=steps, row_size=row_size, shares=parsed)


@click.command()
@click.argument("model")
@text_options
@budget_options
@click.option("--search", type=click.Choice(["trials", "router", "largest"]), default="trials", show_default=True,
              help="How sizes are chosen inside a budget.")  # fmt: skip
@click.option("--uneven", is_flag=True, help="With --search router: every layer has a size of its own.")
@click.option("--stage", "stages", multiple=True, metavar="STEPSxTOKENS[:SHARES]",
              help="May be repeated: short rows first.  [default: 1000xROW_SIZE]")  # fmt: skip
@click.option("--teacher", metavar="MODEL", help="Of the same tokenizer.  [default: MODEL itself, frozen]")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True)
@click.option("--sandwich", is_flag=True, help="Every step trains the largest, the smallest and one between.")
@click.option("--folder", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Where the run lives; it continues from there.  [default: OUT.run]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER")
@click.option("--dry-run", is_flag=True, help="Show sizes, memory and hours, and stop.")
@debug_option
def command(
    model: str, data: tuple[Path, ...], rows: int, row_size: int, parse_special: bool, seed: int,
    budgets: tuple[str, ...], count: str, mix: str, context: int, latency_table: Path | None,
    search: str, uneven: bool, stages: tuple[str, ...], teacher: str | None, learning_rate: float, sandwich: bool,
    folder: Path | None, out: Path, dry_run: bool,
) -> None:  # fmt: skip
    """Train MODEL, from `mambino compress rank`, so that every budget is a good model inside it.

    \b
    mambino compress train ranked/ --data text.jsonl --budget 75% --budget 50% --out nested/
    mambino compress train ranked/ --data text.jsonl --budget 50% --out nested/ \\
        --stage 2000x512 --stage 500x2048:50/50
    mambino compress train ranked/ --data text.jsonl --budget 50% --out nested/ --dry-run
    """
    require_fresh(out)
    checkpoint = open_parent(model)
    text = TextOptions(data=data, rows=rows, row_size=row_size, parse_special=parse_special, seed=seed)
    limits = chosen_budgets(checkpoint.config, budgets, count, mix, context, latency_table)
    planned = [read_stage(stage) for stage in stages] or [Stage(steps=1000, row_size=row_size, shares=None)]
    for stage in planned:
        if stage.shares is not None and len(stage.shares) != len(limits) + 1:
            raise click.UsageError(f"--stage: expected {len(limits) + 1} shares (100% and each budget)")
    depth_order = _depth_order(checkpoint)
    for budget in limits:  # fails now, not after an hour
        candidates(checkpoint.config, default_space(checkpoint.config), budget, depth_order=depth_order)
    if dry_run:
        _show_cost(checkpoint, planned, rows)
        return
    require_torch()
    from mambino.cli.compress_search import Search, find_subs
    from mambino.compress.elastic import ElasticLoss, ElasticSettings

    training, held_out = documents_of(checkpoint, text, longest_row=max(stage.row_size for stage in planned))
    judged = held_out_batches(held_out, text)
    student = module_of(checkpoint)
    master = module_of(checkpoint if teacher is None else open_parent(teacher)).eval().requires_grad_(False)
    run = folder or out.with_name(f"{out.name}.run")
    method = Search(kind=search, is_uneven=uneven, seed=seed)
    subs = find_subs(student, master, limits, method, stream_of(training, text), judged, depth_order, run)
    sizes = (SubConfig.whole(student.config), *subs.values())
    for place, stage in enumerate(planned):
        settings = ElasticSettings(
            subs=sizes, shares=stage.shares or (1.0,) * len(sizes), sandwich=sandwich, target_weight=0.1, seed=seed
        )
        loss = ElasticLoss(settings, master)
        _run_stage(student, loss, stage, training, text, learning_rate, run / f"stage-{place + 1}")
    write_model(out, student, checkpoint, subs)
    print(out)
    _show_result(student, master, subs, judged)


def _depth_order(checkpoint: Checkpoint) -> list[int] | None:
    from mambino.compress.importance_file import read_importance

    ranking = checkpoint.path / RANKING
    if not ranking.exists():
        note("no ranking beside this model: later layers go first; run `mambino compress rank` for a better order")
        return None
    return list(read_importance(ranking).depth_order)


def _show_cost(checkpoint: Checkpoint, stages: list[Stage], rows: int) -> None:
    from mambino.train.cost import GPUS, measured_flops_per_s, training_cost

    here = measured_flops_per_s()
    print(f"{human_count(checkpoint.config.num_parameters)} parameters")
    for stage in stages:
        tokens = stage.steps * rows * stage.row_size
        cost = training_cost(
            checkpoint.config, num_tokens=tokens, rows=rows, row_size=stage.row_size, teacher=checkpoint.config
        )
        gpus = ", ".join(f"{cost.gpu_hours(gpu):,.2g} h {name}" for name, gpu in GPUS.items())
        print(
            f"stage {stage.steps} x {rows} x {stage.row_size}: {human_count(tokens)} tokens, {cost.flops:.2e} "
            f"operations, {human_bytes(cost.memory_nbytes)}; {cost.hours(here):,.2g} h here, {gpus}"
        )


def _run_stage(
    student: "HybridLM", loss: "ElasticLoss", stage: Stage, documents: Documents, text: TextOptions,
    learning_rate: float, folder: Path,
) -> None:  # fmt: skip
    """Mutates student; continues from folder."""
    from mambino.train.loop import LoopSettings, train
    from mambino.train.optim import Cosine, Optimizer, OptimSettings
    from mambino.train.report import plot_loss

    warmup = max(1, stage.steps // 50)
    train(
        student, Optimizer.for_model(student, OptimSettings(learning_rate=learning_rate)),
        Cosine(warmup_steps=warmup, decay_steps=max(1, stage.steps - warmup)),
        stream_of(documents, text, row_size=stage.row_size), loss, folder=folder, settings=LoopSettings(),
    )  # fmt: skip
    try:
        plot_loss(folder / "log.jsonl", folder / "loss.png")
    except Unsupported as error:
        note(str(error))


def _show_result(student: "HybridLM", master: "HybridLM", subs: Mapping[str, SubConfig], held_out: list[Batch]) -> None:
    """Distance from the teacher on held-out text, one line a size."""
    from mambino.compress.elastic import distance
    from mambino.compress.nested import NestedLM

    nested = NestedLM(student)
    for name, sub in {"100%": SubConfig.whole(student.config), **subs}.items():
        apart = distance(nested, sub, master, held_out)
        note(f"{name:<8} {human_count(sub.config.num_parameters):>7} parameters  KL to the teacher {apart:.4f} nats")
