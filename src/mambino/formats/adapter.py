"""A low-rank adapter as a value: what is added to which weights, apart from any file form and from torch.

peft_adapter.py and gguf_adapter.py read and write it. Start at Adapter; merged puts one into a checkpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from mambino.config import HybridConfig
from mambino.errors import FormatError
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import TYPES, QuantType


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """W becomes W + scale * b @ a.

    Shapes     a (R, columns of W), b (rows of W, R)
    """

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    scale: float

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])

    def delta(self) -> NDArray[np.float32]:
        """scale * b @ a, as large as W."""
        product: NDArray[np.float32] = np.matmul(np.float32(self.scale) * self.b, self.a)
        return product


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Adapter:
    """Factors by the own name of the weight, in "hf" form.

    digest is 40 hex digits of all values, which must not change: what states made with this adapter depend on.
    """

    factors: Mapping[str, Factors]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _digest(self.factors))

    @property
    def nbytes(self) -> int:
        return 4 * self.num_parameters

    @property
    def num_parameters(self) -> int:
        return sum(one.a.size + one.b.size for one in self.factors.values())

    def require_fit(self, config: HybridConfig) -> None:
        """Raises FormatError that names the first weight that config does not have, or that is of another shape."""
        shapes = {row.own: row.shape for row in rows(config)}
        for own, one in self.factors.items():
            shape = (one.b.shape[0], one.a.shape[1])
            if shapes.get(own) != shape or one.a.shape[0] != one.b.shape[1]:
                raise FormatError(
                    f"[adapter] {own}: made for a weight of shape {shape}, the model has {shapes.get(own, 'none')}; "
                    "use the model that it was trained on"
                )
            if not (np.isfinite(one.a).all() and np.isfinite(one.b).all() and np.isfinite(one.scale)):
                raise FormatError(f"[adapter] {own}: holds NaN or infinite values; make the adapter again")


def _digest(factors: Mapping[str, Factors]) -> str:
    digest = blake2b(digest_size=20)
    for own, one in sorted(factors.items()):
        digest.update(f"{own} {one.a.shape} {one.b.shape} {one.scale!r}\0".encode())
        for part in (one.a, one.b):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def merged(checkpoint: Checkpoint, adapter: Adapter) -> Checkpoint:
    """The checkpoint with the adapter added in.

    What it touches is decoded and held in memory: floats in their own type, quantised weights as Q8_0 (8.5 bits; F16
    where rows are not whole blocks), so that little of the adapter is lost to rounding. The rest stays mapped.

    Raises     FormatError if the adapter does not fit
    """
    adapter.require_fit(checkpoint.config)
    table = {row.own: row for row in rows(checkpoint.config)}
    stored = dict(checkpoint.stored)
    for own, one in adapter.factors.items():
        delta = tensor_from_float32(own, one.delta())
        if checkpoint.kind == "gguf":
            delta = table[own].transform.to_gguf(delta)
        values = stored[own].to_float32() + delta.to_float32()
        stored[own] = tensor_from_float32(own, values, _merged_type(stored[own]))
    return replace(checkpoint, stored=stored)


def _merged_type(tensor: Tensor) -> QuantType:
    if tensor.type.name in ("F32", "F16", "BF16"):
        return tensor.type
    return TYPES["Q8_0"] if tensor.cols % TYPES["Q8_0"].block_size == 0 and tensor.scale is None else TYPES["F16"]
