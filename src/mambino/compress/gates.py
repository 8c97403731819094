"""Gates of value 1 on the parts that a sub-model keeps: their gradient tells the router what each part is worth.

Hidden channels are gated at norm outputs; heads, neurons and whole layers where they write into the residual.
Knows weights by name, no networks. Start at gated_weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mambino.compress.axes import axis_shape, layer_index
from mambino.compress.sub import SubConfig
from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec

_OUTPUTS = ("out_proj.weight", "o_proj.weight", "down_proj.weight")


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing to choose: an axis, for one layer or (None) for all."""

    axis: str
    layer: int | None


def gated_weights(
    weights: Mapping[str, Tensor],
    sub: SubConfig,
    choices: Mapping[str, Sequence[int]],
    parent: HybridConfig,
    chances: Mapping[Decision, Tensor],
    depth_order: Sequence[int],
) -> dict[str, Tensor]:
    """The weights of sub times their gates. chances: of every decision, over the sizes that its axis allows."""
    gated = dict(weights)
    for decision, chance in chances.items():
        sizes = choices[decision.axis]
        for name in weights:
            index = layer_index(name)
            layer = None if index is None else sub.kept[index]
            if decision.axis == "hidden_size":
                if name in ("norm_f.weight", f"layers.{index}.norm.weight"):
                    gated[name] = gated[name] * _gate(chance, sizes, torch.arange(gated[name].shape[0]))
            elif name.endswith(_OUTPUTS) and index is not None and layer is not None:
                if decision.axis == "num_layers":
                    gated[name] = gated[name] * _gate(chance, sizes, torch.tensor(depth_order.index(layer)))
                elif decision.layer in (None, layer):
                    places = _places(decision.axis, parent.layers[layer], sub, index)
                    if places is not None:
                        gated[name] = gated[name] * _gate(chance, sizes, places)
    return gated


def _gate(chance: Tensor, sizes: Sequence[int], places: Tensor) -> Tensor:
    """1 + (P - P.detach()) for P = the chance that a size above the place was chosen."""
    kept = (torch.tensor(sizes) > places[..., None]).to(chance.dtype) @ chance
    return 1.0 + (kept - kept.detach())


def _places(axis: str, whole: LayerSpec, sub: SubConfig, index: int) -> Tensor | None:
    """Rank of every input column of a layer's output matrix along an axis; None if the layer has no such axis.

    A size counts whole layers' worth of heads, so a head's rank is its place in its group times the groups.
    """
    part = sub.config.layers[index]
    match axis, whole, part:
        case "mamba_heads" | "mamba_head_dim", MambaSpec(), MambaSpec():
            groups, ratio, head_dim = axis_shape("inner", sub.config, part)
            if axis == "mamba_head_dim":
                return torch.arange(head_dim).repeat(groups * ratio)
            return (torch.arange(ratio) * groups).repeat_interleave(head_dim).repeat(groups)
        case "attention_heads" | "kv_heads", AttentionSpec(), AttentionSpec():
            groups, ratio, head_dim = axis_shape("query", sub.config, part)
            if axis == "kv_heads":
                return torch.arange(groups).repeat_interleave(ratio * head_dim)
            return (torch.arange(ratio) * groups).repeat_interleave(head_dim).repeat(groups)
        case "intermediate_size", MlpSpec(), MlpSpec():
            return torch.arange(part.intermediate_size)
        case _:
            return None
