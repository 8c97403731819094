"""Saved runs of several processes: each writes its shards (DCP), a small file says which save is whole.

The counterpart of checkpoint.py. Start at save_sharded and load_sharded.
"""

import json
import os
import shutil
from pathlib import Path

import torch.distributed
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from mambino.errors import FormatError
from mambino.model.hybrid import HybridLM
from mambino.train.checkpoint import Progress
from mambino.train.data import MixedBatches
from mambino.train.optim import Optimizer

_POINTER = "latest.json"


def save_sharded(
    folder: Path, model: HybridLM, optimizer: Optimizer, batches: MixedBatches, progress: Progress
) -> None:
    """Write folder/step-N and then make it the latest; a kill leaves the one before. Every process calls it."""
    target = folder / f"step-{progress.step}"
    parts = optimizer.parts
    state = {"model": get_model_state_dict(model), "optimizer": get_optimizer_state_dict(model, parts)}
    save(state, checkpoint_id=target)
    if torch.distributed.get_rank() == 0:
        described = {
            "save": target.name, "step": progress.step, "num_tokens": progress.num_tokens, "batches": batches.state
        }  # fmt: skip
        partial = folder / f"{_POINTER}.partial"
        partial.write_text(json.dumps(described), encoding="utf-8")
        os.replace(partial, folder / _POINTER)
        for other in folder.glob("step-*"):
            if other != target and other.is_dir():
                shutil.rmtree(other)
    torch.distributed.barrier()


def has_sharded(folder: Path) -> bool:
    return (folder / _POINTER).exists()


def load_sharded(folder: Path, model: HybridLM, optimizer: Optimizer, batches: MixedBatches) -> Progress:
    """Continue as if never interrupted, also with another number of processes. Every process calls it.

    Mutates    model, optimizer, batches
    Raises     FormatError if the save is damaged or of another model
    """
    try:
        described = json.loads((folder / _POINTER).read_text(encoding="utf-8"))
        parts = optimizer.parts
        weights, moments = get_model_state_dict(model), get_optimizer_state_dict(model, parts)
        load({"model": weights, "optimizer": moments}, checkpoint_id=folder / described["save"])
        set_model_state_dict(model, weights)
        set_optimizer_state_dict(model, parts, optim_state_dict=moments)
        batches.restore({name: (epoch, row) for name, (epoch, row) in described["batches"].items()})
        return Progress(step=described["step"], num_tokens=described["num_tokens"])
    except (OSError, KeyError, ValueError, RuntimeError, CheckpointException) as error:
        raise FormatError(f"[train] {folder}: not a saved run of this model: {error}; use a fresh folder") from error
