"""`mambino dpo`: of two answers to one question, teach a model to prefer the chosen one. Start at command."""

import copy
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from mambino.chat.prompt import PromptEncoder
from mambino.cli.options import debug_option, json_option
from mambino.cli.terminal import note
from mambino.cli.torch_extra import require_torch
from mambino.cli.tuning import model_options, open_module, write_tuned
from mambino.errors import InputError
from mambino.export.place import require_model_place
from mambino.formats.checkpoint import open_checkpoint
from mambino.hub.local import resolve
from mambino.load import tokenizer_of

if TYPE_CHECKING:
    from mambino.posttrain.dpo import Pair

_WARM_UP_STEPS = 10


@click.command()
@click.argument("data", metavar="PAIRS", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@model_options()
@click.option("--learning-rate", type=float, default=3e-6, show_default=True, metavar="X")
@click.option("--epochs", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, metavar="X")
@click.option("--pairs", type=click.IntRange(1), default=8, show_default=True, help="Pairs a step.")
@click.option(
    "--beta",
    type=click.FloatRange(0, min_open=True),
    default=0.05,
    show_default=True,
    metavar="X",
    help="How strongly to stay near the model it began with.",
)
@click.option(
    "--row-size",
    type=click.IntRange(8),
    default=2048,
    show_default=True,
    metavar="N",
    help="Most tokens of an answer with its question; longer pairs are left out and counted.",
)
@click.option("--held-out", type=click.FloatRange(0, 0.5), default=0.05, show_default=True, metavar="SHARE")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
@debug_option
def command(
    data: Path, model: str, out: Path, folder: Path | None, learning_rate: float, epochs: float, pairs: int,
    beta: float, row_size: int, held_out: float, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Teach MODEL to prefer one answer to another (DPO). PAIRS is a .jsonl file with a pair a line:

    \b
    {"messages": [{"role": "user", "content": "What is the capital of Atlantis?"}],
     "chosen":   {"role": "assistant", "content": "There is no such country that I know of."},
     "rejected": {"role": "assistant", "content": "Poseidonis."},
     "tools": [...]}

    A small last step, after `sft` or `grpo`: it takes a habit away (inventing tool calls, for instance), and does not
    teach what the model cannot say. A file with a fault is refused, every fault named by its line.

    \b
    mambino dpo pairs.jsonl -m tuned.gguf -o better.gguf
    mambino dpo pairs.jsonl -m hf-folder -o better --beta 0.1

    The share of held-out pairs in which the chosen answer gained on the rejected one is reported. Ctrl-C is safe: the
    same command goes on where it stopped.
    """
    require_torch()
    from mambino.model.weights import weights_of
    from mambino.posttrain.dpo import DpoSettings, preferred_share, read_pairs, train_dpo
    from mambino.train.optim import Optimizer, OptimSettings, WarmupStableDecay

    checkpoint = open_checkpoint(resolve(model))
    require_model_place(out)
    fitting = _fitting(read_pairs(data, PromptEncoder(tokenizer_of(checkpoint))), row_size)
    kept = min(len(fitting) - 1, math.ceil(held_out * len(fitting)))
    order = [fitting[int(place)] for place in np.random.default_rng((seed, 2)).permutation(len(fitting))]
    training, held = order[kept:], order[:kept]
    steps = max(1, math.ceil(epochs * len(training) / pairs))
    note(f"{len(training)} pairs to learn from, {len(held)} held out; {steps} steps of {pairs}")
    module = open_module(checkpoint, "float32")
    reference = copy.deepcopy(module).requires_grad_(False)
    warm_up = min(_WARM_UP_STEPS, steps)
    settings = DpoSettings(beta=beta, pairs=pairs, seed=seed)
    optim = OptimSettings(learning_rate=learning_rate, weight_decay=0.0, betas=(0.9, 0.95), use_muon=False)
    train_dpo(
        module,
        reference,
        Optimizer.for_model(module, optim),
        WarmupStableDecay(warmup_steps=warm_up, stable_steps=steps - warm_up, decay_steps=0),
        training,
        folder=folder or out.with_name(out.name + ".run"),
        settings=settings,
        on_step=lambda health: note(_line(health, steps)),
    )
    outcome: dict[str, object] = {"out": str(out), "steps": steps, "settings": asdict(settings)}
    if held:
        share = preferred_share(module, reference, held, settings)
        note(f"held-out pairs in which the chosen answer gained: {100 * share:.0f} %")
        outcome["held_out_preferred"] = share
    write_tuned(out, checkpoint, weights_of(module))
    note(f"written: {out}")
    if as_json:
        print(json.dumps(outcome))


def _fitting(found: "list[Pair]", row_size: int) -> "list[Pair]":
    """Raises InputError if none fits."""
    fitting = [pair for pair in found if max(len(pair.chosen), len(pair.rejected)) <= row_size]
    if not fitting:
        raise InputError(f"[dpo] every pair is longer than {row_size} tokens; raise --row-size")
    if len(fitting) < len(found):
        note(f"warning: {len(found) - len(fitting)} pairs are too long and left out; see --row-size")
    return fitting


def _line(health: dict[str, float], steps: int) -> str:
    return (
        f"step {health['step']:.0f}/{steps}  loss {health['loss']:.4f}  margin {health['margin']:+.4f}  "
        f"preferred {health['accuracy']:.2f}"
    )
