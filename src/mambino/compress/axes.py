"""Which axis of the model each dimension of each tensor runs along, and how a prefix of an axis lies in memory.

The one table that permuting and slicing read. NumPy only. Start at axes_of.
"""

from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec

# hidden  residual channels                    heads  Mamba heads, group by group      query  attention query channels
# inner   Mamba channels: heads x head size    bc     B or C channels, never cut       kv     key or value channels
# ffn     MLP neurons                          vocab  token ids, never cut
Axis = Literal["hidden", "inner", "heads", "bc", "query", "kv", "ffn", "vocab"]
Dims = tuple[tuple[Axis, ...], ...]  # per leading dimension: the axes that lie along it, one behind the other

_HIDDEN: tuple[Axis, ...] = ("hidden",)
_CONV: tuple[Axis, ...] = ("inner", "bc", "bc")
_MIXER: dict[str, Dims] = {
    "in_proj.weight": (("inner", *_CONV, "heads"), _HIDDEN),
    "conv1d.weight": (_CONV,),
    "conv1d.bias": (_CONV,),
    "A_log": (("heads",),),
    "D": (("heads",),),
    "dt_bias": (("heads",),),
    "norm.weight": (("inner",),),
    "out_proj.weight": (_HIDDEN, ("inner",)),
    "q_proj.weight": (("query",), _HIDDEN),
    "k_proj.weight": (("kv",), _HIDDEN),
    "v_proj.weight": (("kv",), _HIDDEN),
    "o_proj.weight": (_HIDDEN, ("query",)),
    "gate_proj.weight": (("ffn",), _HIDDEN),
    "up_proj.weight": (("ffn",), _HIDDEN),
    "down_proj.weight": (_HIDDEN, ("ffn",)),
}
_OUTER: dict[str, Dims] = {
    "embeddings.weight": (("vocab",), _HIDDEN),
    "lm_head.weight": (("vocab",), _HIDDEN),
    "norm_f.weight": (_HIDDEN,),
}


def axes_of(own_name: str) -> Dims:
    """The axes along the leading dimensions of a tensor; later dimensions (the conv's taps) are never cut."""
    if own_name in _OUTER:
        return _OUTER[own_name]
    _, _, part = own_name.split(".", 2)  # layers.INDEX.PART
    return (_HIDDEN,) if part == "norm.weight" else _MIXER[part.removeprefix("mixer.")]


def layer_index(own_name: str) -> int | None:
    """The layer that a tensor belongs to; None for embeddings, head and final norm."""
    return None if own_name in _OUTER else int(own_name.split(".")[1])


def renumbered(own_name: str, index: int) -> str:
    """The same tensor of another layer."""
    head, _, rest = own_name.split(".", 2)
    return f"{head}.{index}.{rest}"


def axis_shape(axis: Axis, config: HybridConfig, layer: LayerSpec | None) -> tuple[int, ...]:
    """An axis as nested counts, such as (groups, heads a group, head size); a sub-model keeps a prefix of each."""
    match axis, layer:
        case "hidden", _:
            return (config.hidden_size,)
        case "vocab", _:
            return (config.vocab_size,)
        case "inner", MambaSpec():
            return (layer.num_groups, layer.num_heads // layer.num_groups, layer.head_dim)
        case "heads", MambaSpec():
            return (layer.num_groups, layer.num_heads // layer.num_groups)
        case "bc", MambaSpec():
            return (layer.num_groups * layer.state_size,)
        case "query", AttentionSpec():
            return (layer.num_kv_heads, layer.num_heads // layer.num_kv_heads, layer.head_dim)
        case "kv", AttentionSpec():
            return (layer.num_kv_heads, layer.head_dim)
        case "ffn", MlpSpec():
            return (layer.intermediate_size,)
        case _:
            raise AssertionError(f"axis {axis} in {layer}")


def prefix_index(full: tuple[int, ...], kept: tuple[int, ...]) -> NDArray[np.intp]:
    """Flat positions of the prefix: kept[i] of full[i] at every level."""
    index = np.arange(prod(full)).reshape(full)
    return index[tuple(slice(count) for count in kept)].reshape(-1)
