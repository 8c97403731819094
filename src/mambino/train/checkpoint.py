"""Saved training runs: everything that the next step depends on, in one file that is whole or not there.

Weights that are not trained (requires_grad is false) are not saved: they are the model's that the run began with.
Start at save and load; loop.py decides when.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch

from mambino.errors import FormatError
from mambino.model.hybrid import HybridLM
from mambino.train.optim import Optimizer


class Stream(Protocol):
    """A source of batches that knows its place: plain numbers, texts, lists and dicts."""

    @property
    def state(self) -> Mapping[str, Any]: ...
    def restore(self, state: Mapping[str, Any], /) -> None:
        """Mutates self."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands: steps done and targets seen."""

    step: int = 0
    num_tokens: int = 0


def save(path: Path, model: HybridLM, optimizer: Optimizer, batches: Stream, progress: Progress) -> None:
    """Write a checkpoint and put it in place of the old one at once; a kill leaves the old one."""
    content = {
        "model": _trained(model),
        "optimizer": optimizer.state_dict(),
        "batches": batches.state,
        "rng": torch.get_rng_state(),
        "step": progress.step,
        "num_tokens": progress.num_tokens,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


def load(path: Path, model: HybridLM, optimizer: Optimizer, batches: Stream) -> Progress:
    """Continue as if never interrupted. Mutates model, optimizer, batches and torch's global generator.

    Raises     FormatError if the file is not a checkpoint of this model
    """
    content = _read(path)
    try:
        _load_trained(model, content["model"])
        optimizer.load_state_dict(content["optimizer"])
        batches.restore(content["batches"])
        torch.set_rng_state(content["rng"])
        return Progress(step=content["step"], num_tokens=content["num_tokens"])
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise FormatError(
            f"[train] {path}: not a checkpoint of this run: {error}; start with a fresh folder"
        ) from error


def load_weights(path: Path, model: HybridLM) -> Progress:
    """Only the weights. Mutates model."""
    content = _read(path)
    _load_trained(model, content["model"])
    return Progress(step=content["step"], num_tokens=content["num_tokens"])


def _trained(model: HybridLM) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


def _load_trained(model: HybridLM, saved: Mapping[str, torch.Tensor]) -> None:
    """Mutates model. Raises ValueError if saved holds other weights than are trained."""
    if different := sorted(saved.keys() ^ _trained(model).keys()):
        raise ValueError(f"it holds other trained weights, such as {different[0]}")
    model.load_state_dict(saved, strict=False)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, UnpicklingError) as error:
        raise FormatError(f"[train] {path}: cannot be read as a checkpoint: {error}") from error
    if not isinstance(content, dict):
        raise FormatError(f"[train] {path}: expected a checkpoint, got a {type(content).__name__}")
    return content
