"""What `sft`, `grpo`, `dpo` and `tune` share: where a run is, what it will take, and the files that it leaves.

Start at model_options, estimate and write_tuned.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mambino.cli.opening import available_memory
from mambino.cli.terminal import human_bytes, note
from mambino.config import HybridConfig
from mambino.export.folder import write_folder
from mambino.export.quantize import quantize, shapes_of
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor
from mambino.hub.local import BUNDLED
from mambino.quant.mixes import plan_for_mix

if TYPE_CHECKING:
    from mambino.model.hybrid import HybridLM

_LARGE = 300_000_000


def model_options(*, is_out_required: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """--model, --out and --run (as folder) of a verb that makes a new model."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option("--run", "folder", type=click.Path(file_okay=False, path_type=Path), metavar="FOLDER",
                         help="Where the run lives, and goes on from.  [default: OUT.run]"),
            click.option("-o", "--out", required=is_out_required, type=click.Path(path_type=Path), metavar="OUT",
                         help="The new model: NAME.gguf or a folder."),
            click.option("-m", "--model", default=BUNDLED, show_default=True, metavar="MODEL",
                         help="What to start from."),
        ):  # fmt: skip
            command = option(command)
        return command

    return decorate


def estimate(config: HybridConfig, *, num_tokens: int, rows: int, row_size: int, trained_share: float = 1.0) -> str:
    """Memory and time of a run, in a line; a warning where the memory is not there.

    trained_share: of the parameters that have gradients and optimiser state.
    """
    from mambino.train.cost import measured_flops_per_s, training_cost

    cost = training_cost(config, num_tokens=num_tokens, rows=rows, row_size=row_size)
    weights = 4.0 * config.num_parameters
    needed = weights + (cost.state_nbytes - weights) * trained_share + cost.activation_nbytes
    free = available_memory()
    if free is not None and needed > free:
        note(f"warning: about {human_bytes(needed)} are needed, {human_bytes(free)} are free; take smaller rows")
    minutes = 60 * cost.hours(measured_flops_per_s())
    return f"about {human_bytes(needed)} of memory and {_duration(minutes)} on this machine"


def _duration(minutes: float) -> str:
    if minutes < 1.5:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def open_module(checkpoint: Checkpoint, dtype: str) -> "HybridLM":
    """The model, ready to train; large ones keep little between layers and compute it twice."""
    import torch

    from mambino.model.hybrid import HybridLM
    from mambino.model.weights import load_weights

    kind = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    model = HybridLM(checkpoint.config, device="meta", dtype=kind)
    load_weights(model, checkpoint.tensors("hf"), device="cpu")
    model.recompute = checkpoint.config.num_parameters > _LARGE
    return model


def write_tuned(out: Path, source: Checkpoint, weights: Mapping[str, Tensor]) -> None:
    """A model with these weights (own names, "hf" form) and all else of source: GGUF in half precision, or a folder.

    Mutates    out: made, whole or not at all
    """
    if out.suffix == ".gguf":
        table = {row.own: row.transform for row in rows(source.config)}
        stored = {own: table[own].to_gguf(tensor) for own, tensor in weights.items()}
        if source.kind == "hf":
            stored = dict(weights)
        quantize(replace(source, stored=stored), out, plan_for_mix("f16", shapes_of(source)))
    else:
        for sentence in write_folder(out, source.config, weights.values(), source):
            note(f"warning: {sentence}")
