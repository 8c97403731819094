"""How much each column of each matrix matters: mean squared inputs, in safetensors; llama.cpp's imatrix files too.

Knows files and names; compress/calibrate.py measures. Start at read_imatrix and write_imatrix.

Source: llama.cpp's imatrix GGUF: tensors NAME.in_sum2 (sums of squares) and NAME.counts, NAME being the weight's
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mambino.config import HybridConfig
from mambino.errors import FormatError
from mambino.formats.gguf_read import open_gguf
from mambino.formats.names import rows
from mambino.formats.safetensors import open_safetensors, write_safetensors
from mambino.formats.tensor import tensor_from_float32
from mambino.lm import Float32Array


def write_imatrix(path: Path | str, importance: Mapping[str, Float32Array], about: Mapping[str, str]) -> None:
    """Write own name -> (cols,) as one safetensors file, atomically; about says what was measured, and how."""
    tensors = [tensor_from_float32(own, values) for own, values in importance.items()]
    write_safetensors(path, tensors, dict(about))


def read_imatrix(path: Path | str, config: HybridConfig) -> dict[str, Float32Array]:
    """Importance by own name, for the matrices of a model that the file covers.

    path: what write_imatrix wrote, or a GGUF file of llama.cpp's imatrix tool.
    Raises     FormatError for a damaged file, a file of another model, or values that are negative or not finite
    """
    path = Path(path)
    matrices = {row.own: row for row in rows(config) if len(row.shape) == 2}
    if path.suffix == ".gguf":
        by_gguf = _read_llama_cpp(path)
        found = {own: by_gguf[row.gguf] for own, row in matrices.items() if row.gguf in by_gguf}
    else:
        found = {own: tensor.to_float32() for own, tensor in open_safetensors(path).items() if own in matrices}
    if not found:
        raise FormatError(f"{path}: names no matrix of this model; calibrate with this model")
    for own, values in found.items():
        if values.shape != matrices[own].shape[-1:] or not np.isfinite(values).all() or (values < 0).any():
            raise FormatError(
                f"{path}: tensor {own}: expected {matrices[own].shape[-1]} finite numbers >= 0, got shape "
                f"{values.shape}; calibrate again with this model"
            )
    return found


def _read_llama_cpp(path: Path) -> dict[str, Float32Array]:
    """GGUF weight name -> mean squared inputs (cols,)."""
    tensors = open_gguf(path).tensors
    means = {}
    for name, sums in tensors.items():
        weight, _, kind = name.rpartition(".")
        if kind == "in_sum2" and f"{weight}.counts" in tensors:
            count = float(tensors[f"{weight}.counts"].to_float32().sum())
            means[weight] = sums.to_float32().reshape(-1) / np.float32(max(count, 1.0))
    return means
