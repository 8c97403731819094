"""`mambino compress train`: teach a ranked model to be good at several sizes. Start at command."""

from collections.abc import Mapping
from dataclasses import asdict
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
    stream_of,
    text_options,
    write_model,
)
from mambino.cli.compress_rank import RANKING
from mambino.cli.compress_runs import (
    accumulate_option,
    joined_ranks,
    recompute_option,
    require_same_ids,
    run_identity,
    schedule_of,
)
from mambino.cli.compress_stages import Stage, read_stages, show_cost
from mambino.cli.options import debug_option
from mambino.cli.terminal import human_count, note
from mambino.cli.torch_extra import require_torch
from mambino.compress.space import candidates, default_space
from mambino.compress.sub import SubConfig
from mambino.errors import Unsupported
from mambino.export.place import require_model_place
from mambino.formats.checkpoint import Checkpoint
from mambino.train.data import Batch, Documents

if TYPE_CHECKING:
    from mambino.compress.elastic import ElasticLoss
    from mambino.model.hybrid import HybridLM
    from mambino.train.ranks import Ranks


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
@accumulate_option
@recompute_option
@click.option("--folder", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Where the run lives; it continues from there.  [default: OUT.run]")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER")
@click.option("--dry-run", is_flag=True, help="Show sizes, memory and hours, and stop.")
@debug_option
def command(
    model: str, data: tuple[Path, ...], rows: int, row_size: int, parse_special: bool, seed: int,
    budgets: tuple[str, ...], count: str, mix: str, context: int, latency_table: Path | None,
    search: str, uneven: bool, stages: tuple[str, ...], teacher: str | None, learning_rate: float, sandwich: bool,
    accumulate: int, recompute: bool, folder: Path | None, out: Path, dry_run: bool,
) -> None:  # fmt: skip
    """Train MODEL, from `mambino compress rank`, so that every budget is a good model inside it.

    \b
    mambino compress train ranked/ --data text.jsonl --budget 75% --budget 50% --out nested/
    mambino compress train ranked/ --data text.jsonl --budget 50% --out nested/ \\
        --stage 2000x512 --stage 500x2048:50/50
    mambino compress train ranked/ --data text.jsonl --budget 50% --out nested/ --dry-run
    torchrun --nproc-per-node 4 -m mambino.cli compress train ranked/ --data text.jsonl --budget 50% --out nested/

    Under torchrun every process holds the whole model and has its part of the rows. Ctrl-C is safe: the same command
    goes on where it stopped.
    """
    require_model_place(out)
    require_torch()
    checkpoint = open_parent(model)
    master_source = checkpoint if teacher is None else open_parent(teacher)
    if teacher is not None:
        require_same_ids(master_source, checkpoint)
    limits = chosen_budgets(checkpoint.config, budgets, count, mix, context, latency_table)
    planned = read_stages(stages, row_size=row_size, num_budgets=len(limits))
    depth_order = _depth_order(checkpoint)
    space = default_space(checkpoint.config)  # what does not fit fails now, not after an hour
    largest = [candidates(checkpoint.config, space, budget, depth_order=depth_order)[0].sub for budget in limits]
    if dry_run:
        sizes = (SubConfig.whole(checkpoint.config), *largest)
        show_cost(
            sizes, master_source.config, planned, rows=rows, accumulate=accumulate, sandwich=sandwich,
            recompute=recompute,
        )  # fmt: skip
        return
    from mambino.cli.compress_search import Search, find_subs
    from mambino.compress.elastic import ElasticLoss
    from mambino.train.same_run import require_same_run

    ranks = joined_ranks(rows)
    text = TextOptions(data=data, rows=rows, row_size=row_size, parse_special=parse_special, seed=seed)
    training, held_out = documents_of(checkpoint, text, longest_row=max(stage.row_size for stage in planned))
    student, master = module_of(checkpoint), module_of(master_source).eval().requires_grad_(False)
    student.recompute = recompute
    run = folder or out.with_name(f"{out.name}.run")
    about = run_identity(student, master, training, held_out, text, ranks) | {
        "stages": [asdict(stage) for stage in planned], "budgets": [(budget.name, budget.limit) for budget in limits],
        "count": [count, mix, context], "search": [search, uneven], "depth order": depth_order,
        "learning rate": learning_rate, "sandwich": sandwich,
    }  # fmt: skip
    stage_folders = [run / f"stage-{place + 1}" for place in range(len(planned))]
    for place in (run, *stage_folders):
        require_same_run(place, about)
    judged = held_out_batches(held_out, text)
    method = Search(kind=search, is_uneven=uneven, seed=seed)
    subs = find_subs(student, master, limits, method, stream_of(training, text), judged, depth_order, run, ranks)
    ranks.replicate(student)
    master.to(ranks.device)
    for stage, place in zip(planned, stage_folders, strict=True):
        settings = stage.settings((SubConfig.whole(student.config), *subs.values()), sandwich=sandwich, seed=seed)
        loss = ElasticLoss(settings, master)
        _run_stage(student, loss, stage, training, text, learning_rate, accumulate, place, ranks)
    if ranks.is_first:
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


def _run_stage(
    student: "HybridLM", loss: "ElasticLoss", stage: Stage, documents: Documents, text: TextOptions,
    learning_rate: float, accumulate: int, folder: Path, ranks: "Ranks",
) -> None:  # fmt: skip
    """Mutates student; continues from folder."""
    from mambino.train.loop import LoopSettings, train
    from mambino.train.optim import Optimizer, OptimSettings
    from mambino.train.report import plot_loss

    train(
        student, Optimizer.for_model(student, OptimSettings(learning_rate=learning_rate)), schedule_of(stage.steps),
        stream_of(documents, text, row_size=stage.row_size), loss, folder=folder,
        settings=LoopSettings(accumulate=accumulate), ranks=ranks,
    )  # fmt: skip
    if not ranks.is_first:
        return
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
