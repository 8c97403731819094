"""NestedLM: one set of weights, run as any of its sub-models. Slices, not masks, so that small ones are quick.

Gradients of a sub-model flow into the shared parameters. Knows no data and no loss. Start at NestedLM.
"""

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from mambino.compress.axes import axes_of, axis_shape, layer_index, renumbered
from mambino.compress.sub import SubConfig, check_inside
from mambino.model.hybrid import HybridLM
from mambino.model.span import Span
from mambino.model.state import HybridState

# Letters: B rows, T tokens, D model width of the sub-model, V vocabulary.


class _Skeleton(HybridLM):
    """A sub-model whose weights are lent to it for one pass."""

    def _recomputed(self, block: nn.Module, h_BTD: Tensor, span: Span) -> Tensor:
        weights = dict(block.named_parameters())  # the backward pass comes when they are gone from the block
        out: Tensor = checkpoint(functional_call, block, weights, (h_BTD, span), use_reentrant=False)
        return out


class _Hidden(nn.Module):
    """HybridLM.hidden as a forward, which is what functional_call can call."""

    def __init__(self, model: HybridLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens_BT: Tensor, resets: Tensor | None, states: Sequence[HybridState]) -> Tensor:
        return self.model.hidden(tokens_BT, resets=resets, states=states)


class NestedLM:
    """A permuted model and its sub-models. Nothing is copied ahead: each pass slices the parameters as they are.

    Where model.recompute is True, sub-models recompute too.
    """

    def __init__(self, model: HybridLM) -> None:
        self.model = model
        self._skeletons: dict[SubConfig, _Hidden] = {}

    def weights(self, sub: SubConfig) -> dict[str, Tensor]:
        """The sub-model's weights by own name, as slices of the shared parameters; differentiable.

        Raises     InputError if sub is not inside the model
        """
        shared = dict(self.model.named_parameters())
        names = (name.removeprefix("model.") for name, _ in self._skeleton(sub).named_parameters())
        return {name: self._slice(shared, name, sub) for name in names}

    def hidden(
        self,
        sub: SubConfig,
        tokens_BT: Tensor,
        *,
        resets: Tensor | None = None,
        states: Sequence[HybridState] = (),
        weights: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """HybridLM.hidden of the sub-model: (B, T, D). weights: instead of self.weights(sub), such as gated ones.

        Mutates    states, which are of sub.config
        """
        named = {f"model.{name}": value for name, value in (weights or self.weights(sub)).items()}
        skeleton = self._skeleton(sub)
        skeleton.model.recompute = self.model.recompute
        hidden: Tensor = functional_call(skeleton, named, (tokens_BT, resets, states))
        return hidden

    def head(self, sub: SubConfig) -> Tensor:
        """The sub-model's output matrix (V, D)."""
        tied = self.model.config.tie_embeddings
        matrix: Tensor = self.model.embeddings.weight if tied else self.model.lm_head.weight
        return matrix[:, : sub.config.hidden_size]

    def logits(
        self,
        sub: SubConfig,
        tokens_BT: Tensor,
        *,
        resets: Tensor | None = None,
        states: Sequence[HybridState] = (),
    ) -> Tensor:
        """HybridLM.forward of the sub-model: (B, T, V)."""
        return self.hidden(sub, tokens_BT, resets=resets, states=states) @ self.head(sub).mT

    def extracted(self, sub: SubConfig) -> HybridLM:
        """The sub-model on its own: a copy that shares nothing."""
        alone = HybridLM(sub.config, device=self.model.device, dtype=self.model.dtype)
        alone.load_state_dict({name: value.detach().clone() for name, value in self.weights(sub).items()})
        return alone

    def _skeleton(self, sub: SubConfig) -> _Hidden:
        """The sub-model without weights."""
        if sub not in self._skeletons:
            check_inside(self.model.config, sub)
            self._skeletons[sub] = _Hidden(_Skeleton(sub.config, device="meta", dtype=self.model.dtype))
        return self._skeletons[sub]

    def _slice(self, shared: Mapping[str, Tensor], own_name: str, sub: SubConfig) -> Tensor:
        parent, index = self.model.config, layer_index(own_name)
        whole = None if index is None else parent.layers[sub.kept[index]]
        part = None if index is None else sub.config.layers[index]
        tensor = shared[own_name if index is None else renumbered(own_name, sub.kept[index])]
        for dim, axes in enumerate(axes_of(own_name)):
            full = [axis_shape(axis, parent, whole) for axis in axes]
            kept = [axis_shape(axis, sub.config, part) for axis in axes]
            tensor = _prefix(tensor, dim, full, kept)
        return tensor


def _prefix(tensor: Tensor, dim: int, full: Sequence[tuple[int, ...]], kept: Sequence[tuple[int, ...]]) -> Tensor:
    """Keep a prefix of every axis that lies along dim; a view wherever that is possible."""
    if list(full) == list(kept):
        return tensor
    pieces = torch.split(tensor, [prod(shape) for shape in full], dim)
    narrowed = [_narrowed(piece, dim, *shapes) for piece, *shapes in zip(pieces, full, kept, strict=True)]
    return narrowed[0] if len(narrowed) == 1 else torch.cat(narrowed, dim)


def _narrowed(piece: Tensor, dim: int, full: tuple[int, ...], kept: tuple[int, ...]) -> Tensor:
    if full == kept:
        return piece
    nested = torch.unflatten(piece, dim, full)
    for level, count in enumerate(kept):
        nested = nested.narrow(dim + level, 0, count)
    return torch.flatten(nested, dim, dim + len(full) - 1)
