"""Reopen a quantised file and compare it with its source: same model, same types as planned, finite, and how far off.

Knows formats and plans, runs no model (evals.fidelity does). Start at verify.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError
from mambino.export.retype import rows_of
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.formats.tensor import Tensor
from mambino.lm import Float32Array
from mambino.quant.plan import QuantPlan

_SAMPLED_VALUES = 1 << 20  # of each tensor, in evenly spread whole rows


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorError:
    """Root mean square error over root mean square of a tensor's values; weighted also counts columns by importance."""

    own: str
    plain: float
    weighted: float


def verify(
    source: Checkpoint, path: Path | str, plan: QuantPlan, importance: Mapping[str, Float32Array] | None = None
) -> list[TensorError]:
    """The error of every matrix of the file at path.

    Every byte is read once for the finiteness of scales; errors are measured on rows spread over each tensor.
    Raises     FormatError if the file does not open, is another model, has other types, or holds NaN or infinity
    """
    written = open_checkpoint(path)
    _require_same_model(source, written)
    wanted, errors = source.tensors("gguf"), []
    for own, tensor in written.stored.items():
        if tensor.type != plan.types[own] or tensor.shape != wanted[own].shape:
            raise FormatError(f"{path}: tensor {own}: expected {plan.types[own].name}, found {tensor.type.name}")
        tensor.require_finite()
        if len(tensor.shape) == 2 and plan.types[own].name != "F32":
            errors.append(_error_of(own, wanted[own], tensor, (importance or {}).get(own)))
    return errors


def _require_same_model(source: Checkpoint, written: Checkpoint) -> None:
    """Begin and further ends may come from the tokenizer that the file now carries; no end may be lost."""
    ours, theirs = source.config, written.config
    same_ids = replace(theirs, bos_token_id=ours.bos_token_id, eos_token_ids=ours.eos_token_ids)
    if same_ids != ours:
        raise FormatError(f"{written.path}: opens as another model than {source.path}; report this, and quantise again")
    if lost := sorted({*ours.eos_token_ids} - {*theirs.eos_token_ids}):
        raise FormatError(f"{written.path}: end tokens {lost} of {source.path} are lost; report this, and write again")


def _error_of(own: str, source: Tensor, written: Tensor, importance: Float32Array | None) -> TensorError:
    count = min(source.rows, max(1, _SAMPLED_VALUES // source.cols))
    sampled = np.linspace(0, source.rows - 1, count).astype(np.intp)
    values = rows_of(source, sampled)
    energy = (values.astype(np.float64) ** 2).sum(axis=0)
    squares = ((rows_of(written, sampled) - values).astype(np.float64) ** 2).sum(axis=0)
    weights = np.ones(source.cols) if importance is None else importance.astype(np.float64)
    return TensorError(own=own, plain=_ratio(squares, energy), weighted=_ratio(weights * squares, weights * energy))


def _ratio(squares: NDArray[np.float64], energy: NDArray[np.float64]) -> float:
    return float(np.sqrt(squares.sum() / energy.sum())) if energy.any() else 0.0
