"""A tensor in another number format, a few rows at a time on several threads: peak memory is the result's own bytes.

Knows tensors and codecs. Start at retyped.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mambino.errors import InputError
from mambino.formats.tensor import Tensor
from mambino.lm import Float32Array
from mambino.quant.encode import encode
from mambino.quant.types import QuantType

_VALUES_PER_PIECE = 1 << 19  # a piece keeps a thread busy for 50 ms


def retyped(
    tensor: Tensor,
    quant_type: QuantType,
    *,
    importance: Float32Array | None = None,
    threads: int = 1,
    on_values: Callable[[int], None] | None = None,
) -> Tensor:
    """The same values in another format; the tensor itself where it has it already.

    importance: (cols,), how much each column matters. on_values is told, on the calling thread, how many values more
    are done. The bytes do not depend on threads.
    Raises     InputError naming the tensor, for values that the format cannot hold
    """
    if tensor.type == quant_type and tensor.scale is None:
        if on_values:
            on_values(tensor.rows * tensor.cols)
        return tensor
    raw = np.empty((tensor.rows, quant_type.row_nbytes(tensor.cols)), np.uint8)
    step = max(1, _VALUES_PER_PIECE // tensor.cols)

    def fill(start: int) -> int:
        piece = rows_of(tensor, slice(start, start + step))
        raw[start : start + step] = encode(quant_type, piece, importance)
        return piece.size

    try:
        with ThreadPoolExecutor(threads) as pool:
            for num_values in pool.map(fill, range(0, tensor.rows, step)):
                if on_values:
                    on_values(num_values)
    except InputError as error:
        raise InputError(f"[export] tensor {tensor.name}: {error}") from error
    return Tensor(name=tensor.name, type=quant_type, shape=tensor.shape, data=raw.reshape(-1))


def rows_of(tensor: Tensor, which: slice | NDArray[np.intp]) -> Float32Array:
    """Some rows decoded and scaled: (number of rows, cols)."""
    raw, scale = tensor.raw_rows[which], tensor.scale
    if scale is not None and scale.size > 1:
        scale = scale.reshape(-1)[which]
    return replace(tensor, shape=(len(raw), tensor.cols), data=raw.reshape(-1), scale=scale).to_float32()
