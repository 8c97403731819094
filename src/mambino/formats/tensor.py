"""Tensor: a name, a number format, a shape and the raw bytes, usually a view into a mapped file.

Knows the codecs, not where the bytes came from. Shapes are in torch order: the last dimension is contiguous.
Start at Tensor.
"""

from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError
from mambino.quant.decode import decode
from mambino.quant.encode import encode
from mambino.quant.types import F32, QuantType

_BYTES_PER_SCAN = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tensor:
    """A stored tensor.

    data is flat uint8, rows * type.row_nbytes(cols) long; read-only where it is a view of a file. scale multiplies the
    decoded values: None, one number (), or one a row (rows,); only 8-bit float checkpoints have one.
    Raises     FormatError if data does not have the size that type and shape say
    """

    name: str
    type: QuantType
    shape: tuple[int, ...]
    data: NDArray[np.uint8]
    scale: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        expected = self.rows * self.type.row_nbytes(self.cols)
        if self.data.ndim != 1 or self.data.dtype != np.uint8 or self.data.size != expected:
            raise FormatError(
                f"tensor {self.name}: expected {expected} bytes for {self.type.name} {self.shape}, "
                f"got {self.data.dtype} {self.data.shape}"
            )

    @property
    def rows(self) -> int:
        """Product of all dimensions but the last."""
        return prod(self.shape[:-1])

    @property
    def cols(self) -> int:
        """The last dimension; 1 for a scalar."""
        return self.shape[-1] if self.shape else 1

    @property
    def nbytes(self) -> int:
        return int(self.data.size)

    @property
    def raw_rows(self) -> NDArray[np.uint8]:
        """The bytes as (rows, row_nbytes), a view."""
        return self.data.reshape(self.rows, -1)

    def to_float32(self) -> NDArray[np.float32]:
        """The values, decoded and scaled, as a new array of shape."""
        values = decode(self.type, self.raw_rows, self.cols)
        if self.scale is not None:
            values *= self.scale.reshape(-1, 1)
        return values.reshape(self.shape)

    def renamed(self, name: str) -> "Tensor":
        """The same bytes under another name."""
        return self if name == self.name else replace(self, name=name)

    def require_finite(self) -> None:
        """Raise FormatError if a float value, or a block scale of a quantised tensor, is NaN or infinite.

        Reads every page of the data once, a piece at a time: cheap for norms and biases, a full read for matrices.
        """
        finite = self.scale is None or bool(np.isfinite(self.scale).all())
        if not (finite and _all_finite(self.type, self.data)):
            raise FormatError(f"tensor {self.name}: holds NaN or infinite values; the file is damaged, fetch it again")


def tensor_from_float32(name: str, values: NDArray[np.float32], quant_type: QuantType = F32) -> Tensor:
    """Encode values as a tensor of the same shape. Raises as quant.encode.encode does."""
    shape = values.shape
    rows = np.ascontiguousarray(values, dtype=np.float32).reshape(prod(shape[:-1]), -1)
    return Tensor(name=name, type=quant_type, shape=shape, data=encode(quant_type, rows).reshape(-1))


def _all_finite(quant_type: QuantType, data: NDArray[np.uint8]) -> bool:
    step = _BYTES_PER_SCAN // quant_type.block_nbytes * quant_type.block_nbytes
    for start in range(0, data.size, step):
        piece = data[start : start + step]
        match quant_type.name:
            case "F32":
                is_finite = bool(np.isfinite(piece.view("<f4")).all())
            case "F16":
                is_finite = bool(((piece[1::2] & 0x7C) != 0x7C).all())
            case "BF16":
                is_finite = bool(((piece.view("<u2") & 0x7F80) != 0x7F80).all())
            case "F8_E4M3":
                is_finite = bool(((piece & 0x7F) != 0x7F).all())
            case _:  # the exponent bits of each float16 scale lie in its second byte
                blocks = piece.reshape(-1, quant_type.block_nbytes)
                is_finite = all(((blocks[:, at + 1] & 0x7C) != 0x7C).all() for at in quant_type.scale_offsets)
        if not is_finite:
            return False
    return True
