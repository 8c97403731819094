"""How much each part of a model matters, from forward passes alone: channels, neurons, heads, layers.

Knows no files; importance_file.py saves and plots. Start at measure_importance.

Source: Nemotron Elastic, arXiv:2511.16664, section 3; Minitron-SSM, arXiv:2504.11409 (groups); see each function
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mambino.compress.nested import NestedLM
from mambino.compress.sub import SubConfig
from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec
from mambino.errors import InputError, TrainingError
from mambino.model.attention import Attention
from mambino.model.hybrid import HybridLM
from mambino.model.mamba2 import Mamba2
from mambino.model.mlp import Mlp
from mambino.model.norm import RMSNorm
from mambino.train.data import Batch
from mambino.train.placed import placed

Scores = NDArray[np.float64]

# Letters: B rows, T tokens, D model width, H heads, P head size, G groups, E attention head size, F neurons.


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Importance:
    """Scores of every part, larger is more useful; index i of heads, channels, neurons is layer i.

    hidden       (D,)
    heads        layer -> (H,): Mamba heads, or attention query heads
    channels     layer -> (P,): Mamba head channels, one score for all heads
    neurons      layer -> (F,)
    depth_order  layer indices, most useful first
    depth_scores layer -> normalised squared error of the logits when it was removed (NaN for the last one left)
    """

    hidden: Scores
    heads: Mapping[int, Scores]
    channels: Mapping[int, Scores]
    neurons: Mapping[int, Scores]
    depth_order: tuple[int, ...]
    depth_scores: Mapping[int, float]
    num_tokens: int


def measure_importance(
    model: HybridLM, batches: Sequence[Batch], *, on_progress: Callable[[str], None] = lambda _: None
) -> Importance:
    """Score every part on these batches; the layers by iterative removal, N^2/2 passes for N layers.

    Raises     InputError for no batches; TrainingError where activations are not finite
    """
    if not batches:
        raise InputError("[compress] importance needs at least one batch of calibration text")
    on_progress("widths")
    widths = _measure_widths(model, batches)
    removed, scores = _remove_layers(model, batches, on_progress)
    return replace(widths, depth_order=tuple(reversed(removed)), depth_scores=scores)


class _Sums:
    """Running sums over tokens, by name, in float64."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor) -> None:
        """values (B, T, ...), not negative."""
        total = values.detach().double().sum(dim=(0, 1))
        self.sums[name] = self.sums[name] + total if name in self.sums else total

    def scores(self, name: str) -> Scores:
        scores: Scores = self.sums[name].cpu().numpy()
        if not np.isfinite(scores).all():
            raise TrainingError(f"[compress] importance: activations of {name} are not finite; check the weights")
        return scores


@torch.no_grad()
def _measure_widths(model: HybridLM, batches: Iterable[Batch]) -> Importance:
    sums, num_tokens = _Sums(), 0
    with _watched(model, sums):
        for batch in batches:
            place = placed(batch, model)
            model.hidden(place.tokens, resets=place.resets)
            num_tokens += batch.tokens_BT.size
    heads, channels, neurons = dict[int, Scores](), dict[int, Scores](), dict[int, Scores]()
    for index, layer in enumerate(model.config.layers):
        match layer:
            case MambaSpec():
                heads[index], channels[index] = _mamba_scores(sums.scores(f"mamba {index}"), layer)
            case AttentionSpec():
                heads[index] = np.sqrt(sums.scores(f"query {index}"))
            case MlpSpec():
                neurons[index] = np.sqrt(sums.scores(f"neurons {index}"))
    return Importance(
        hidden=sums.scores("hidden"), heads=heads, channels=channels, neurons=neurons,
        depth_order=(), depth_scores={}, num_tokens=num_tokens,
    )  # fmt: skip


def _mamba_scores(squares_HP: Scores, spec: MambaSpec) -> tuple[Scores, Scores]:
    """Channels by their norm over heads; heads by the norm over the better half of channels."""
    channels = np.sqrt(squares_HP.sum(axis=0))
    best = np.argsort(-channels, kind="stable")[: max(1, spec.head_dim // 2)]
    return np.sqrt(squares_HP[:, best].sum(axis=1)), channels


@contextmanager
def _watched(model: HybridLM, sums: _Sums) -> Iterator[None]:
    """While open, every pass adds to sums: |norm output|, and squares of x, of queries, of what down_proj reads."""
    handles = [_watch_norm(norm, sums) for norm in (model.norm_f, *(block.norm for block in model.layers))]
    for index, block in enumerate(model.layers):
        handles.append(_watch_mixer(block.mixer, index, sums))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _watch_norm(norm: object, sums: _Sums) -> Any:
    assert isinstance(norm, RMSNorm)
    return norm.register_forward_hook(lambda module, inputs, output: sums.add("hidden", output.abs()))


def _watch_mixer(mixer: object, index: int, sums: _Sums) -> Any:
    if isinstance(mixer, Mamba2):
        inner, shape = mixer.spec.inner_size, (mixer.spec.num_heads, mixer.spec.head_dim)

        def add_x(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            x_BTHP = torch.unflatten(output[..., inner : 2 * inner], -1, shape)  # z | x | B | C | dt
            sums.add(f"mamba {index}", x_BTHP.double().square())

        return mixer.in_proj.register_forward_hook(add_x)
    if isinstance(mixer, Attention):
        heads = (mixer.spec.num_heads, mixer.spec.head_dim)

        def add_query(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            sums.add(f"query {index}", torch.unflatten(output.double(), -1, heads).square().sum(dim=-1))

        return mixer.q_proj.register_forward_hook(add_query)
    assert isinstance(mixer, Mlp)

    # The source scores x . up; what comes after the activation is what down_proj can lose.
    def add_neurons(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sums.add(f"neurons {index}", inputs[0].double().square())

    return mixer.down_proj.register_forward_pre_hook(add_neurons)


@torch.no_grad()
def _remove_layers(
    model: HybridLM, batches: Sequence[Batch], on_progress: Callable[[str], None]
) -> tuple[list[int], dict[int, float]]:
    """Layers in the order of removal, least useful first, and the score at which each went.

    score = sum (logits of the whole model - logits without)^2 / sum (logits of the whole model)^2
    """
    nested, config = NestedLM(model), model.config
    left, removed, scores = list(range(len(config.layers))), list[int](), dict[int, float]()
    while len(left) > 1:
        on_progress(f"layers: {len(removed)} of {len(config.layers)} ranked")
        errors, energy = dict.fromkeys(left, 0.0), 0.0
        for batch in batches:  # computed anew every round: a large vocabulary's logits are only kept for one batch
            whole = _logits(nested, SubConfig.whole(config), batch)
            energy += float(whole.square().sum())
            for candidate in left:
                errors[candidate] += float(
                    (_logits(nested, _without(config, left, candidate), batch) - whole).square().sum()
                )
        least = min(left, key=lambda index: errors[index])
        scores[least] = errors[least] / energy
        left.remove(least)
        removed.append(least)
    return [*removed, left[0]], {**scores, left[0]: float("nan")}


def _without(config: HybridConfig, left: Sequence[int], candidate: int) -> SubConfig:
    kept = tuple(index for index in left if index != candidate)
    return SubConfig(config=replace(config, layers=tuple(config.layers[index] for index in kept)), kept=kept)


def _logits(nested: NestedLM, sub: SubConfig, batch: Batch) -> Tensor:
    place = placed(batch, nested.model)
    return nested.logits(sub, place.tokens, resets=place.resets).double()
