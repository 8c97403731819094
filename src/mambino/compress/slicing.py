"""Cut a sub-model out of stored weights: any checkpoint in, a smaller checkpoint out, quantised or not.

Rows of a matrix stay views of the file; columns are copied, whole blocks as they are. NumPy only. Start at
slice_checkpoint; the sub-models that a nested checkpoint offers are in offered.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from mambino.compress.axes import axes_of, axis_shape, layer_index, prefix_index, renumbered
from mambino.compress.sub import SubConfig, check_inside
from mambino.config import HybridConfig
from mambino.errors import Unsupported
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor

Index = NDArray[np.intp]


def slice_checkpoint(checkpoint: Checkpoint, sub: SubConfig) -> Checkpoint:
    """The sub-model as an open checkpoint of the same kind and with the same tokenizer; nothing is written.

    Raises     InputError if sub is not inside it; Unsupported where a cut would go through a quantisation block
    Pinned by  tests/compress/test_slicing.py
    """
    check_inside(checkpoint.config, sub)
    if sub == SubConfig.whole(checkpoint.config):
        return checkpoint
    flat_shapes = {row.own: row.shape for row in rows(checkpoint.config)}
    stored = {}
    for row in rows(sub.config):
        name = parent_name(row.own, sub)
        # Either value form holds the same numbers in the same order, so both are cut in the shape of the table.
        part = replace(checkpoint.stored[name], name=row.own, shape=flat_shapes[name])
        for dim, positions in _cuts(row.own, checkpoint.config, sub):
            part = pick(part, dim, positions)
        stored[row.own] = replace(part, shape=row.stored_shape(checkpoint.kind))
    return replace(checkpoint, config=sub.config, stored=stored)


def parent_name(own_name: str, sub: SubConfig) -> str:
    """What the tensor of a sub-model is called in the parent."""
    index = layer_index(own_name)
    return own_name if index is None else renumbered(own_name, sub.kept[index])


def column_grains(parent: HybridConfig, sub: SubConfig) -> dict[str, int]:
    """Matrices whose columns are cut, by their name in the parent: the largest block that the cut keeps whole.

    A number format can be cut if its block size divides this.
    """
    return {
        parent_name(row.own, sub): _grain(positions)
        for row in rows(sub.config)
        for dim, positions in _cuts(row.own, parent, sub)
        if dim == 1
    }


def _grain(positions: Index) -> int:
    """The greatest common divisor of where unbroken runs begin and of how long they are."""
    starts = np.flatnonzero(np.diff(positions, prepend=positions[0] - 2) != 1)
    return int(np.gcd.reduce(np.concatenate([positions[starts], np.diff(starts, append=len(positions))])))


def _cuts(own_name: str, parent: HybridConfig, sub: SubConfig) -> Iterator[tuple[int, Index]]:
    """The dimensions of a tensor of sub that are less than the parent's, and the positions that are kept."""
    index = layer_index(own_name)
    whole = None if index is None else parent.layers[sub.kept[index]]
    part = None if index is None else sub.config.layers[index]
    for dim, axes in enumerate(axes_of(own_name)):
        full = [axis_shape(axis, parent, whole) for axis in axes]
        kept = [axis_shape(axis, sub.config, part) for axis in axes]
        if full != kept:
            yield dim, _positions(full, kept)


def _positions(full: Sequence[tuple[int, ...]], kept: Sequence[tuple[int, ...]]) -> Index:
    starts = np.cumsum([0, *(prod(shape) for shape in full)])
    return np.concatenate(
        [start + prefix_index(*shapes) for start, *shapes in zip(starts, full, kept, strict=False)], dtype=np.intp
    )


def pick(tensor: Tensor, dim: int, positions: Index) -> Tensor:
    """The tensor with only these positions of dimension 0 or 1, in this order.

    Raises     Unsupported if positions of a quantised row are not whole blocks
    """
    shape = (*tensor.shape[:dim], len(positions), *tensor.shape[dim + 1 :])
    if dim == 0:
        return _pick_rows(tensor, positions, shape)
    size = tensor.type.block_size
    blocks = positions.reshape(-1, size) if len(positions) % size == 0 else np.empty((0, size), np.intp)
    if not len(blocks) or (blocks != blocks[:, :1] + np.arange(size)).any() or (blocks[:, 0] % size).any():
        raise Unsupported(
            f"[compress] tensor {tensor.name}: {len(positions)} of {tensor.cols} columns do not keep whole "
            f"{tensor.type.name} blocks of {size}; choose sizes in multiples of {size}, or slice the F16 or BF16 "
            "model and quantise the result"
        )
    cells = tensor.raw_rows.reshape(tensor.rows, -1, tensor.type.block_nbytes)
    return replace(tensor, shape=shape, data=cells[:, blocks[:, 0] // size].reshape(-1))


def _pick_rows(tensor: Tensor, positions: Index, shape: tuple[int, ...]) -> Tensor:
    """A prefix of rows is a view."""
    # A vector is stored as one row: its elements are the rows of a column.
    raw = tensor.data.reshape(tensor.shape[0], -1)
    is_prefix = bool((positions == np.arange(len(positions))).all())
    data = raw[: len(positions)] if is_prefix else raw[positions]
    scale = tensor.scale
    if scale is not None and scale.size > 1:
        scale = scale[positions]
    return replace(tensor, shape=shape, data=data.reshape(-1), scale=scale)
