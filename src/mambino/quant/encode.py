"""Encode values in every number format that GGUF files hold, optionally weighted by how much each column matters.

Floats and Q8_0 are rounded to nearest. Formats of fewer bits are fitted block by block (encode_blocks, encode_kquants):
weighted least squares over scales and offsets. Knows nothing of files or tensors. Start at encode.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mambino.errors import InputError, Unsupported
from mambino.quant.decode import LAYOUTS, ByteArray, Float32Array
from mambino.quant.encode_blocks import BLOCK_ENCODERS
from mambino.quant.encode_kquants import K_ENCODERS
from mambino.quant.types import QuantType

_VALUES_PER_PASS = 1 << 16  # few enough calls, and temporaries of a fit stay in the second-level cache

# A column that calibration never saw active still has a say: this share of the mean.
_LEAST_IMPORTANCE = 1e-3


def encode(quant_type: QuantType, values: Float32Array, importance: Float32Array | None = None) -> ByteArray:
    """Raw rows of values.

    Floats and Q8_0 round to nearest (ties to even for floats, away from zero for Q8_0, as GGML does) and ignore
    importance; the others minimise sum_j importance[j] (w_j - decoded_j)^2 as well as their search can. The result
    depends on nothing else: any split into rows gives the same bytes.

    Shapes     values (rows, cols) -> (rows, quant_type.row_nbytes(cols)); importance (cols,), None means all equal
    Raises     InputError for values that are not finite or too large, or an importance that is negative, not finite or
               of another length; Unsupported for types without an encoder
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim != 2:
        raise InputError(f"[quant] {quant_type.name}: expected values (rows, cols), got shape {values.shape}")
    quant_type.row_nbytes(values.shape[1])
    if not np.isfinite(values).all():
        raise InputError(f"[quant] {quant_type.name}: cannot encode NaN or infinite values")
    plain = _PLAIN_ENCODERS.get(quant_type.name)
    if plain is not None:
        return plain(values).reshape(len(values), -1)
    if quant_type.name not in BLOCK_ENCODERS and quant_type.name not in K_ENCODERS:
        known = ", ".join([*_PLAIN_ENCODERS, *BLOCK_ENCODERS, *K_ENCODERS])
        raise Unsupported(f"[quant] no encoder for {quant_type.name}; encoders exist for {known}")
    return _fitted(quant_type, values, _weights_of(quant_type, values.shape[1], importance))


def _weights_of(quant_type: QuantType, cols: int, importance: Float32Array | None) -> Float32Array:
    """(cols,), of mean 1."""
    if importance is None:
        return np.ones(cols, np.float32)
    if importance.shape != (cols,) or not np.isfinite(importance).all() or (importance < 0).any():
        raise InputError(
            f"[quant] {quant_type.name}: expected an importance of {cols} finite numbers >= 0, got shape "
            f"{importance.shape}; calibrate again with this model"
        )
    mean = importance.mean(dtype=np.float64)
    if mean == 0:
        return np.ones(cols, np.float32)
    weights: Float32Array = np.maximum(importance / mean, _LEAST_IMPORTANCE).astype(np.float32)
    return weights


def _fitted(quant_type: QuantType, values: Float32Array, weights: Float32Array) -> ByteArray:
    """Some rows at a time, groups of values as columns."""
    rows, cols = values.shape
    group, encoder = K_ENCODERS.get(quant_type.name) or (quant_type.block_size, BLOCK_ENCODERS[quant_type.name])
    raw = np.empty((rows, quant_type.row_nbytes(cols)), np.uint8)
    step = max(1, _VALUES_PER_PASS // cols)
    weight_rows = np.tile(weights, (min(step, rows), 1))
    # Overflow of a float16 scale is found below; underflow is a block of zeros.
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for start in range(0, rows, step):
            piece = values[start : start + step]
            columns = np.ascontiguousarray(piece.reshape(-1, group).T)
            weight_columns = np.ascontiguousarray(weight_rows[: len(piece)].reshape(-1, group).T)
            blocks = encoder(columns, weight_columns)
            _require_finite_scales(quant_type, blocks, values)
            raw[start : start + step] = blocks.view(np.uint8).reshape(len(piece), -1)
    return raw


def _require_finite_scales(quant_type: QuantType, blocks: NDArray[np.void], values: Float32Array) -> None:
    fields = LAYOUTS[quant_type.name].names or ()
    if not all(np.isfinite(blocks[name]).all() for name in ("d", "m", "dmin") if name in fields):
        largest = np.abs(values).max()
        raise InputError(f"[quant] {quant_type.name}: values up to {largest} do not fit a float16 scale; use F32")


def _encode_f32(values: Float32Array) -> ByteArray:
    return values.astype("<f4").view(np.uint8)


def _encode_f16(values: Float32Array) -> ByteArray:
    with np.errstate(over="ignore"):
        halves = values.astype("<f2")
    if not np.isfinite(halves).all():
        raise InputError(f"[quant] F16: largest value {np.abs(values).max()} exceeds 65504; use BF16 or F32")
    return halves.view(np.uint8)


def _encode_bf16(values: Float32Array) -> ByteArray:
    bits = values.view(np.uint32)
    rounded = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    if ((rounded & 0x7F80) == 0x7F80).any():
        raise InputError(f"[quant] BF16: largest value {np.abs(values).max()} rounds to infinity; use F32")
    return rounded.astype("<u2").view(np.uint8)


def _encode_q8_0(values: Float32Array) -> ByteArray:
    """d = max |w| / 127 in float32; q = round(w / d) with that d; d is then stored as float16."""
    rows = values.reshape(-1, 32)
    scale = np.abs(rows).max(axis=1, keepdims=True) / np.float32(127)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.float32(1) / scale
        halves = scale.astype("<f2")
    inverse[np.isinf(inverse)] = 0  # all zero, or so small that the stored scale is zero anyway
    if not np.isfinite(halves).all():
        raise InputError(f"[quant] Q8_0: values up to {np.abs(values).max()} do not fit a float16 scale; use F32")
    magnitude = np.abs(rows * inverse)
    whole = np.trunc(magnitude)
    whole += magnitude - whole >= 0.5
    blocks = np.empty(len(rows), dtype=LAYOUTS["Q8_0"])
    blocks["d"] = halves[:, 0]
    blocks["q"] = np.copysign(whole, rows)
    return blocks.view(np.uint8)


_PLAIN_ENCODERS: dict[str, Callable[[Float32Array], ByteArray]] = {
    "F32": _encode_f32,
    "F16": _encode_f16,
    "BF16": _encode_bf16,
    "Q8_0": _encode_q8_0,
}
