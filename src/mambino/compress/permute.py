"""Re-order a model once so that on every axis the useful parts come first: then every smaller model is a prefix.

The function stays the same, and so do the logits. Start at order_of and permuted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mambino.compress.axes import Axis, axes_of, axis_shape, layer_index
from mambino.compress.importance import Importance, Scores
from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM

Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Order:
    """New position -> old position, for every axis that moves. layers[i] has the axes of layer i."""

    hidden: Index
    layers: tuple[Mapping[Axis, Index], ...]


def order_of(config: HybridConfig, importance: Importance) -> Order:
    """Useful parts first. Mamba heads move inside their B/C group, query heads inside their key/value head.

    Whole key/value heads move too, with all that belongs to them; B/C groups stay where they are.
    Raises     InputError if the scores are of another model
    """
    _check_scores(config, importance)
    layers = tuple(_layer_order(index, layer, importance) for index, layer in enumerate(config.layers))
    return Order(hidden=_descending(importance.hidden), layers=layers)


def random_order(config: HybridConfig, rng: np.random.Generator) -> Order:
    """The baseline that a ranking must beat: every axis shuffled, groups respected."""

    def scores(size: int) -> Scores:
        return rng.random(size)

    heads = {i: scores(layer.num_heads) for i, layer in enumerate(config.layers) if not isinstance(layer, MlpSpec)}
    channels = {i: scores(layer.head_dim) for i, layer in enumerate(config.layers) if isinstance(layer, MambaSpec)}
    neurons = {
        i: scores(layer.intermediate_size) for i, layer in enumerate(config.layers) if isinstance(layer, MlpSpec)
    }
    return order_of(
        config,
        Importance(
            hidden=scores(config.hidden_size), heads=heads, channels=channels, neurons=neurons,
            depth_order=tuple(range(len(config.layers))), depth_scores={}, num_tokens=0,
        ),
    )  # fmt: skip


@torch.no_grad()
def permute(model: HybridLM, order: Order) -> None:
    """Move the weights. Mutates model; its logits stay what they were, up to the order of sums."""
    for name, parameter in model.named_parameters():
        index = layer_index(name)
        layer = None if index is None else model.config.layers[index]
        moved: Tensor = parameter
        for dim, axes in enumerate(axes_of(name)):
            places = np.concatenate(_places(axes, order, index, model.config, layer))
            moved = moved.index_select(dim, torch.from_numpy(places).to(parameter.device))
        parameter.copy_(moved)


def _places(
    axes: tuple[Axis, ...], order: Order, index: int | None, config: HybridConfig, layer: LayerSpec | None
) -> list[Index]:
    """For each axis along one dimension, where its new elements were."""
    places, start = [], 0
    for axis in axes:
        size = int(np.prod(axis_shape(axis, config, layer)))
        if axis == "hidden":
            old = order.hidden
        else:
            old = (order.layers[index] if index is not None else {}).get(axis, np.arange(size))
        places.append(start + old)
        start += size
    return places


def _layer_order(index: int, layer: LayerSpec, importance: Importance) -> Mapping[Axis, Index]:
    match layer:
        case MambaSpec():
            heads = _within_groups(importance.heads[index], layer.num_groups)
            channels = _descending(importance.channels[index])
            return {"heads": heads, "inner": _expanded(heads, layer.head_dim, channels)}
        case AttentionSpec():
            scores = importance.heads[index].reshape(layer.num_kv_heads, -1)
            groups = _descending(scores.sum(axis=1))
            inside = np.argsort(-scores, axis=1, kind="stable")[groups]
            heads = (groups[:, None] * scores.shape[1] + inside).reshape(-1)
            plain = np.arange(layer.head_dim)  # positions are encoded by place inside a head: never moved
            return {"query": _expanded(heads, layer.head_dim, plain), "kv": _expanded(groups, layer.head_dim, plain)}
        case MlpSpec():
            return {"ffn": _descending(importance.neurons[index])}


def _descending(scores: Scores) -> Index:
    return np.argsort(-scores, kind="stable")


def _within_groups(scores: Scores, num_groups: int) -> Index:
    by_group = scores.reshape(num_groups, -1)
    starts = np.arange(num_groups)[:, None] * by_group.shape[1]
    return (starts + np.argsort(-by_group, axis=1, kind="stable")).reshape(-1)


def _expanded(heads: Index, head_dim: int, channels: Index) -> Index:
    """Heads of head_dim channels each, as single channels."""
    return (heads[:, None] * head_dim + channels).reshape(-1)


def _check_scores(config: HybridConfig, importance: Importance) -> None:
    wanted: dict[str, int] = {"hidden": config.hidden_size}
    for index, layer in enumerate(config.layers):
        match layer:
            case MambaSpec():
                wanted |= {f"heads of layer {index}": layer.num_heads, f"channels of layer {index}": layer.head_dim}
            case AttentionSpec():
                wanted[f"heads of layer {index}"] = layer.num_heads
            case MlpSpec():
                wanted[f"neurons of layer {index}"] = layer.intermediate_size
    given = {"hidden": len(importance.hidden)}
    for kind, scores in (
        ("heads", importance.heads),
        ("channels", importance.channels),
        ("neurons", importance.neurons),
    ):
        given |= {f"{kind} of layer {index}": len(values) for index, values in scores.items()}
    if given != wanted:
        name = next(name for name in {**wanted, **given} if given.get(name) != wanted.get(name))
        raise InputError(
            f"[compress] importance: {name}: expected {wanted.get(name)} scores, got {given.get(name)}; "
            "they were measured on another model, rank this one"
        )
