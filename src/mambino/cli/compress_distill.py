"""`mambino compress distill`: teach a small model what a large one says. Start at command."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mambino.cli.compress_options import (
    TextOptions,
    documents_of,
    held_out_batches,
    module_of,
    open_parent,
    stream_of,
    text_options,
    write_model,
)
from mambino.cli.compress_runs import (
    accumulate_option,
    joined_ranks,
    recompute_option,
    require_same_ids,
    run_identity,
    schedule_of,
)
from mambino.cli.options import debug_option
from mambino.cli.terminal import note
from mambino.cli.torch_extra import require_torch
from mambino.export.place import require_model_place
from mambino.export.quantize import shapes_of
from mambino.quant.mixes import MIXES, plan_for_mix

if TYPE_CHECKING:
    from mambino.model.hybrid import HybridLM
    from mambino.train.data import MixedBatches
    from mambino.train.loop import LossFunction


@click.command()
@click.argument("teacher")
@click.argument("student")
@text_options
@click.option("--steps", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=3e-4, show_default=True)
@click.option("--target-weight", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Share of the loss that is the text itself.")  # fmt: skip
@click.option("--mix", type=click.Choice(list(MIXES)), metavar="NAME",
              help="Train on the grid that `mambino quantize --mix` of this name writes.")  # fmt: skip
@click.option("--stored", type=click.IntRange(1), metavar="K",
              help="Hear the teacher first, keep its K likeliest tokens on disk, train from those.")  # fmt: skip
@accumulate_option
@recompute_option
@click.option("--folder", type=click.Path(path_type=Path), metavar="FOLDER", help="Of the run.  [default: OUT.run]")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER")
@debug_option
def command(
    teacher: str, student: str, data: tuple[Path, ...], rows: int, row_size: int, parse_special: bool, seed: int,
    steps: int, learning_rate: float, target_weight: float, mix: str | None, stored: int | None,
    accumulate: int, recompute: bool, folder: Path | None, out: Path,
) -> None:  # fmt: skip
    """Train STUDENT until it says what TEACHER says. They need the same tokenizer, nothing else.

    \b
    mambino compress distill big/ small/ --data text.jsonl --out taught/
    mambino compress distill big/ big/ --data text.jsonl --mix q4_0 --out robust/
    mambino compress distill big/ small/ --data text.jsonl --stored 64 --out taught/
    torchrun --nproc-per-node 4 -m mambino.cli compress distill big/ small/ --data text.jsonl --out taught/

    Under torchrun every process holds both models and has its part of the rows. Ctrl-C is safe: the same command goes
    on where it stopped.
    """
    require_model_place(out)
    if stored is not None and (mix is not None or target_weight):
        raise click.UsageError("--stored holds the teacher's words only: leave out --mix and --target-weight")
    require_torch()
    source, master_source = open_parent(student), open_parent(teacher)
    require_same_ids(master_source, source)
    ranks = joined_ranks(rows)
    if stored is not None and ranks.size > 1:
        raise click.UsageError("--stored and torchrun: choose one")
    text = TextOptions(data=data, rows=rows, row_size=row_size, parse_special=parse_special, seed=seed)
    training, held_out = documents_of(source, text)
    module, master = module_of(source), module_of(master_source).eval().requires_grad_(False)
    module.recompute = recompute
    from mambino.compress.distill import distillation_loss
    from mambino.compress.elastic import distance
    from mambino.compress.nested import NestedLM
    from mambino.compress.qad import quantised_distillation_loss
    from mambino.compress.sub import SubConfig
    from mambino.train.loop import LoopSettings, train
    from mambino.train.optim import Optimizer, OptimSettings
    from mambino.train.same_run import require_same_run

    run = folder or out.with_name(f"{out.name}.run")
    identity = run_identity(module, master, training, held_out, text, ranks)
    require_same_run(run, identity | {
        "steps": steps, "learning rate": learning_rate, "target weight": target_weight, "mix": mix, "stored": stored
    })  # fmt: skip
    ranks.replicate(module)
    master.to(ranks.device)
    loss = distillation_loss(master, target_weight=target_weight)
    if mix is not None:
        plan = plan_for_mix(mix, shapes_of(source))
        loss = quantised_distillation_loss(master, module.config, plan, target_weight=target_weight)
    if stored is not None:
        loss = _stored_loss(master, stream_of(training, text), run / "logits", steps, stored, identity)
    train(
        module, Optimizer.for_model(module, OptimSettings(learning_rate=learning_rate)), schedule_of(steps),
        stream_of(training, text), loss, folder=run, settings=LoopSettings(accumulate=accumulate), ranks=ranks,
    )  # fmt: skip
    if ranks.is_first:
        write_model(out, module, source)
        print(out)
        whole = SubConfig.whole(module.config)
        apart = distance(NestedLM(module), whole, master, held_out_batches(held_out, text))
        note(f"KL to the teacher on held-out text: {apart:.4f} nats a token")


def _stored_loss(
    teacher: "HybridLM", stream: "MixedBatches", folder: Path, num_steps: int, kept: int,
    identity: Mapping[str, object],
) -> "LossFunction":  # fmt: skip
    """What the teacher says to every batch, from folder if it is there already. Mutates stream; folder."""
    from mambino.compress.stored_logits import BATCHES, store_logits, stored_distillation_loss

    names = ("teacher", "data", "rows", "row size", "seed")
    about = {name: identity[name] for name in names} | {"number of kept tokens": kept}
    if not (folder / BATCHES).exists():
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped while storing
        store_logits(teacher, stream, folder, num_steps=num_steps, kept=kept, about=about,
                     on_progress=lambda done: note(f"teacher: {done} of {num_steps} batches"))  # fmt: skip
    return stored_distillation_loss(folder, about)
