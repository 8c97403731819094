"""How a tensor's stored values differ between the "hf" and the "gguf" form, each with its inverse.

Works on Tensors alone: reshapes and row permutations move raw bytes, quantised or not; only A changes values.
Start at Transform; names.py says which tensor uses which.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError
from mambino.formats.tensor import Tensor, tensor_from_float32


class Transform(Protocol):
    """to_hf(to_gguf(t)) equals t: bit for bit, except that A passes through exp and log in float64."""

    def gguf_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]: ...
    def to_gguf(self, tensor: Tensor) -> Tensor: ...
    def to_hf(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Same values, same shape."""

    def gguf_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def to_gguf(self, tensor: Tensor) -> Tensor:
        return tensor

    def to_hf(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        return tensor


IDENTITY = Identity()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape:
    """The same float values in another shape: conv (C, 1, W) -> (C, W); gated norm (inner,) -> (G, inner / G)."""

    to: tuple[int, ...]

    def gguf_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self.to

    def to_gguf(self, tensor: Tensor) -> Tensor:
        return _reshaped(tensor, self.to)

    def to_hf(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        return _reshaped(tensor, shape)


@dataclass(frozen=True, slots=True)
class Column:
    """(H,) -> (H, 1)."""

    def gguf_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape, 1)

    def to_gguf(self, tensor: Tensor) -> Tensor:
        return _reshaped(tensor, self.gguf_shape(tensor.shape))

    def to_hf(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        return _reshaped(tensor, shape)


@dataclass(frozen=True, slots=True)
class NegativeExp:
    """A_log (H,) -> A = -exp(A_log) (H, 1), float32 on both sides."""

    def gguf_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape, 1)

    def to_gguf(self, tensor: Tensor) -> Tensor:
        with np.errstate(over="ignore"):
            values = (-np.exp(tensor.to_float32().astype(np.float64))).astype(np.float32)
        if not (np.isfinite(values) & (values < 0)).all():
            raise FormatError(f"tensor {tensor.name}: -exp(A_log) leaves the float32 range; the weights are damaged")
        return tensor_from_float32(tensor.name, values.reshape(self.gguf_shape(tensor.shape)))

    def to_hf(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        values = tensor.to_float32().astype(np.float64)
        if not (np.isfinite(values) & (values < 0)).all():
            raise FormatError(f"tensor {tensor.name}: expected negative values (-exp(A_log)); re-export the file")
        return tensor_from_float32(tensor.name, np.log(-values).astype(np.float32).reshape(shape))


@dataclass(frozen=True, slots=True, kw_only=True)
class RopePairs:
    """Rows of q or k, head by head: from rotate-half order (j, j + E/2) to adjacent pairs (2j, 2j + 1).

    Moves whole raw rows, so quantised matrices stay as they are.
    """

    num_heads: int

    def gguf_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def to_gguf(self, tensor: Tensor) -> Tensor:
        return self._permuted(tensor, (self.num_heads, 2, -1))

    def to_hf(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        return self._permuted(tensor, (self.num_heads, -1, 2))

    def _permuted(self, tensor: Tensor, split: tuple[int, int, int]) -> Tensor:
        order = np.arange(tensor.rows).reshape(split).swapaxes(1, 2).reshape(-1)
        scale = _permuted_scale(tensor.scale, order)
        return replace(tensor, data=tensor.raw_rows[order].reshape(-1), scale=scale)


def _permuted_scale(scale: NDArray[np.float32] | None, order: NDArray[np.intp]) -> NDArray[np.float32] | None:
    return scale if scale is None or scale.size == 1 else scale[order]


def _reshaped(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    if not tensor.type.is_float:
        raise FormatError(f"tensor {tensor.name}: expected a float type, got {tensor.type.name}; re-export it as F32")
    return replace(tensor, shape=shape)
