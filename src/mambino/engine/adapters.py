"""A low-rank adapter in the engine's form: scaled, in the order of the engine's rows, fused weights by parts.

Start at native_adapter.
"""

from itertools import accumulate

import numpy as np

from mambino import _native
from mambino.config import HybridConfig, MambaSpec
from mambino.errors import Unsupported
from mambino.formats.adapter import Adapter
from mambino.formats.names import rows
from mambino.formats.tensor import tensor_from_float32
from mambino.lm import Float32Array

Block = tuple[int, int, Float32Array]  # first row of the weight, first of the rank, values


def native_adapter(engine: _native.Engine, config: HybridConfig, adapter: Adapter) -> _native.Adapter:
    """A copy for states of engine, whose model is of config.

    Raises     FormatError if it does not fit; Unsupported if it changes anything but projections of layers
    """
    adapter.require_fit(config)
    transforms = {row.own: row.transform for row in rows(config)}
    made = _native.Adapter()
    for own, one in adapter.factors.items():
        layer, projection = _place(own)
        scaled = tensor_from_float32(own, one.b * np.float32(one.scale))
        b = transforms[own].to_gguf(scaled).to_float32().reshape(one.b.shape)
        spec = config.layers[layer]
        parts = spec.in_proj_rows if isinstance(spec, MambaSpec) and projection == "in_proj" else (len(b),)
        engine.add_low_rank(made, layer, projection, np.ascontiguousarray(one.a), _blocks(b, parts))
    return made


def _place(own: str) -> tuple[int, str]:
    """Layer and projection of a weight's own name."""
    match own.split("."):
        case ["layers", index, "mixer", projection, "weight"]:
            return int(index), projection
    raise Unsupported(
        f"[adapter] {own}: the engine adds to projections of layers only; merge this adapter: open_model(adapter=...), "
        "or use backend='torch'"
    )


def _blocks(b: Float32Array, parts: tuple[int, ...]) -> list[Block]:
    """b cut into one block a part if it is zero outside of them, else whole."""
    rank, rest = divmod(b.shape[1], len(parts))
    starts = [end - count for end, count in zip(accumulate(parts), parts, strict=True)]
    blocks: list[Block] = [
        (start, index * rank, np.ascontiguousarray(b[start : start + count, index * rank : (index + 1) * rank]))
        for index, (start, count) in enumerate(zip(starts, parts, strict=True))
    ]
    inside = sum(np.count_nonzero(values) for _, _, values in blocks)
    return blocks if not rest and inside == np.count_nonzero(b) else [(0, 0, np.ascontiguousarray(b))]
