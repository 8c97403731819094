"""Low-rank adapters over every projection of every layer kind: W x + scale * B (A x), with W frozen.

A Mamba layer's in_proj stacks five matrices (z, x, B, C, dt) that do different things: each gets factors of its own.
In files they are one pair of five times the rank whose B is block-diagonal, which every reader of LoRA understands.
Embeddings, head, conv and the numbers per head stay as they are. Start at add_lora.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mambino.config import LayerSpec
from mambino.errors import InputError
from mambino.formats.adapter import Adapter, Factors
from mambino.model.hybrid import HybridLM
from mambino.train.optim import block_rows

PROJECTIONS = ("in_proj", "out_proj", "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """rank of each matrix; the effect is multiplied by alpha / rank. projections: which, by their names."""

    rank: int = 16
    alpha: float = 32.0
    projections: tuple[str, ...] = PROJECTIONS

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0:
            raise InputError(f"[lora] rank and alpha must be positive, got {self.rank} and {self.alpha}")
        if unknown := set(self.projections) - set(PROJECTIONS):
            raise InputError(f"[lora] unknown projections {sorted(unknown)}; known are {', '.join(PROJECTIONS)}")


class LoraLinear(nn.Linear):
    """A linear layer with an adapter; weight is the original one, shared and frozen.

    Shapes     lora_a (R, in), lora_b (out, R)
    """

    def __init__(self, base: nn.Linear, a: Tensor, b: Tensor, scale: float) -> None:
        super().__init__(base.in_features, base.out_features, bias=False, device="meta")
        self.weight = base.weight
        self.lora_a, self.lora_b = nn.Parameter(a), nn.Parameter(b)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        added = functional.linear(functional.linear(x.to(self.lora_a.dtype), self.lora_a), self.lora_b)
        return functional.linear(x, self.weight) + (self.scale * added).to(x.dtype)


def add_lora(model: HybridLM, settings: LoraSettings, *, generator: torch.Generator | None = None) -> None:
    """Freeze the model and add factors that change nothing yet (B = 0).

    Mutates    model
    Raises     InputError if no projection is among the model's
    """
    blocks = block_rows(model)
    found = [(name, base) for name, base in _projections(model) if name.split(".")[-1] in settings.projections]
    if not found:
        raise InputError(f"[lora] the model has none of {', '.join(settings.projections)}")
    model.requires_grad_(False)
    for name, base in found:
        rows = blocks.get(f"{name}.weight", (base.out_features,))
        shape = (settings.rank * len(rows), base.in_features)
        bound = 1.0 / math.sqrt(base.in_features)
        a = torch.empty(shape, dtype=torch.float32).uniform_(-bound, bound, generator=generator).to(base.weight.device)
        adapted = LoraLinear(base, a, a.new_zeros(base.out_features, shape[0]), settings.alpha / settings.rank)
        if len(rows) > 1:
            _keep_block_diagonal(adapted.lora_b, rows)
        _put(model, name, adapted)


def attach(model: HybridLM, adapter: Adapter) -> None:
    """Add an adapter that exists, frozen like the rest: for running. Mutates model.

    Raises     FormatError if it does not fit; InputError if the model has one already
    """
    adapter.require_fit(model.config)
    bases = dict(_projections(model))
    for own, one in adapter.factors.items():
        base = bases.get(own.removesuffix(".weight"))
        if base is None:
            raise InputError(f"[lora] {own}: not a projection, or it has an adapter already; merge it instead")
        a, b = (torch.from_numpy(np.array(part)).to(base.weight.device) for part in (one.a, one.b))
        _put(model, own.removesuffix(".weight"), LoraLinear(base, a, b, one.scale))
    model.requires_grad_(False)


def adapter_of(model: HybridLM) -> Adapter:
    """A copy of the factors that were added."""
    return Adapter(
        factors={
            f"{name}.weight": Factors(a=_array(module.lora_a), b=_array(module.lora_b), scale=module.scale)
            for name, module in model.named_modules()
            if isinstance(module, LoraLinear)
        }
    )


def load_adapter(model: HybridLM, adapter: Adapter) -> None:
    """Give the factors that were added these values, to train on. Mutates model.

    Raises     InputError if they are of other weights or ranks
    """
    modules = {f"{name}.weight": module for name, module in model.named_modules() if isinstance(module, LoraLinear)}
    shapes = {own: (tuple(one.lora_a.shape), tuple(one.lora_b.shape)) for own, one in modules.items()}
    if shapes != {own: (one.a.shape, one.b.shape) for own, one in adapter.factors.items()}:
        raise InputError("[lora] the adapter is of other weights or ranks; add factors with its own settings")
    with torch.no_grad():
        for own, module in modules.items():
            module.lora_a.copy_(torch.from_numpy(np.array(adapter.factors[own].a)))
            module.lora_b.copy_(torch.from_numpy(np.array(adapter.factors[own].b)))
            module.scale = adapter.factors[own].scale


@torch.no_grad()
def merge(model: HybridLM) -> None:
    """Put the factors into the weights and take them away: a plain model, all of it trainable. Mutates model."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLinear):
            delta = module.scale * (module.lora_b @ module.lora_a)
            plain = nn.Linear(module.in_features, module.out_features, bias=False, device="meta")
            plain.weight = module.weight
            plain.weight.copy_(plain.weight.to(delta.dtype) + delta)
            _put(model, name, plain)
    model.requires_grad_(True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of a model an adapter reaches. by_kind: Mamba, attention or MLP -> (layers reached, layers)."""

    layers: int
    num_layers: int
    by_kind: dict[str, tuple[int, int]]
    matrices: int
    parameters: int
    num_parameters: int

    def __str__(self) -> str:
        kinds = ", ".join(f"{reached} of {count} {kind}" for kind, (reached, count) in self.by_kind.items())
        return (
            f"{self.layers} of {self.num_layers} layers ({kinds}), {self.matrices} matrices; {self.parameters:,} "
            f"weights, {100 * self.parameters / self.num_parameters:.2f} % of the model's"
        )


def coverage(adapter: Adapter, layers: Sequence[LayerSpec], num_parameters: int) -> Coverage:
    reached = {int(own.split(".")[1]) for own in adapter.factors}
    kinds = [type(layer).__name__.removesuffix("Spec") for layer in layers]
    return Coverage(
        layers=len(reached),
        num_layers=len(layers),
        by_kind={
            kind: (sum(kinds[index] == kind for index in reached), kinds.count(kind)) for kind in dict.fromkeys(kinds)
        },
        matrices=len(adapter.factors),
        parameters=adapter.num_parameters,
        num_parameters=num_parameters,
    )


def _projections(model: HybridLM) -> Iterator[tuple[str, nn.Linear]]:
    """(own name without .weight, module) of every projection that has no adapter."""
    for name, module in model.named_modules():
        if type(module) is nn.Linear and name.split(".")[-1] in PROJECTIONS:
            yield name, module


def _put(model: HybridLM, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _keep_block_diagonal(b: nn.Parameter, rows: Sequence[int]) -> None:
    """b begins as zeros and only its blocks ever get a gradient: block k is rows k by the k-th share of the rank."""
    rank = b.shape[1] // len(rows)
    ends = np.cumsum([0, *rows])
    mask = torch.zeros_like(b)
    for index in range(len(rows)):
        mask[ends[index] : ends[index + 1], index * rank : (index + 1) * rank] = 1.0
    b.register_hook(lambda gradient: gradient * mask)  # type: ignore[no-untyped-call]


def _array(parameter: nn.Parameter) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return parameter.detach().to(device="cpu", dtype=torch.float32).numpy().copy()
