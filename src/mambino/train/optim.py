"""Who is optimised how: Muon for hidden matrices, AdamW for the rest, decay only where it helps; and schedules.

Knows parameter names of HybridLM, no data and no loop. Start at Optimizer.for_model.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from mambino.config import MambaSpec
from mambino.model.hybrid import HybridLM
from mambino.train.ranks import sharded_like, whole

_VECTORS = ("A_log", "D", "dt_bias", "bias", "norm.weight", "norm_f.weight", "conv1d.weight")
_TABLES = ("embeddings.weight", "lm_head.weight")
# Update RMS that AdamW typically has: makes one learning rate serve both (Liu et al. 2025, arXiv:2502.16982).
_ADAMW_RMS = 0.2
# Quintic Newton-Schulz coefficients of Jordan et al. 2024 (the Muon write-up): steep at zero, stable near one.
_QUINTIC = (3.4445, -4.7750, 2.0315)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimSettings:
    """learning_rate is the peak; the schedule scales it. weight_decay applies to hidden matrices only."""

    learning_rate: float
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    use_muon: bool = True
    muon_momentum: float = 0.95
    muon_steps: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterGroups:
    """Parameter names by treatment. Every parameter is in exactly one group."""

    matrices: tuple[str, ...]  # hidden 2-D weights: decayed
    tables: tuple[str, ...]  # embeddings and head: AdamW, not decayed
    vectors: tuple[str, ...]  # norms, biases, conv, A_log, D, dt_bias: AdamW, not decayed


def parameter_groups(names: Iterable[str]) -> ParameterGroups:
    listed = tuple(names)
    tables = tuple(name for name in listed if name in _TABLES)
    vectors = tuple(name for name in listed if name.endswith(_VECTORS))
    matrices = tuple(name for name in listed if name not in tables and name not in vectors)
    return ParameterGroups(matrices=matrices, tables=tables, vectors=vectors)


def block_rows(model: HybridLM) -> dict[str, tuple[int, ...]]:
    """Row counts of the blocks inside each fused matrix: in_proj stacks z, x, B, C and dt."""
    return {
        f"layers.{index}.mixer.in_proj.weight": layer.in_proj_rows
        for index, layer in enumerate(model.config.layers)
        if isinstance(layer, MambaSpec)
    }


class Muon(torch.optim.Optimizer):
    """Momentum, then the nearest orthogonal matrix as update, block by block; update RMS matched to AdamW's.

    torch.optim.Muon orthogonalises whole parameters only; a fused projection must be treated as the separate
    matrices that it is.
    """

    def __init__(self, blocks: list[tuple[nn.Parameter, tuple[int, ...]]], settings: OptimSettings) -> None:
        super().__init__([parameter for parameter, _ in blocks], {"lr": settings.learning_rate})
        self._blocks, self._settings = [rows for _, rows in blocks], settings

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure is ever passed
        settings = self._settings
        for group in self.param_groups:
            for parameter, rows in zip(group["params"], self._blocks, strict=True):
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                momentum = state.setdefault("momentum", torch.zeros_like(parameter))
                momentum.lerp_(parameter.grad, 1.0 - settings.muon_momentum)
                ahead = torch.lerp(parameter.grad, momentum, settings.muon_momentum)
                parameter.mul_(1.0 - group["lr"] * settings.weight_decay)
                parameter.sub_(sharded_like(_orthogonal_blocks(whole(ahead), rows, settings.muon_steps), parameter),
                               alpha=group["lr"])  # fmt: skip


def _orthogonal_blocks(matrix: Tensor, rows: tuple[int, ...], steps: int) -> Tensor:
    """Every block of rows orthogonalised alone, with AdamW's update RMS."""
    blocks = torch.split(matrix, list(rows))
    return torch.cat([orthogonal(block, steps) * (_ADAMW_RMS * math.sqrt(max(block.shape))) for block in blocks])


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """U V^T of the singular value decomposition, roughly (singular values in about [0.7, 1.2]).

    Source     Jordan et al. 2024, Muon; Newton-Schulz in float32
    """
    a, b, c = _QUINTIC
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = torch.div(matrix.T if is_tall else matrix, matrix.norm().clamp_min(1e-7))
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + torch.addmm(gram, gram, gram, beta=b, alpha=c) @ x
    return x.T if is_tall else x


class Optimizer:
    """The optimisers of one model behind one step; state_dict round-trips exactly."""

    def __init__(self, parts: list[torch.optim.Optimizer], learning_rate: float) -> None:
        self.parts, self._peak = parts, learning_rate

    @classmethod
    def for_model(cls, model: HybridLM, settings: OptimSettings) -> "Optimizer":
        """For what the model trains: its parameters that require gradients."""
        parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
        groups = parameter_groups(parameters)
        plain = [{"params": [parameters[name] for name in groups.tables + groups.vectors], "weight_decay": 0.0}]
        parts: list[torch.optim.Optimizer] = []
        if settings.use_muon:
            blocks = block_rows(model)
            fused = [(parameters[name], blocks.get(name, (len(parameters[name]),))) for name in groups.matrices]
            parts.append(Muon(fused, settings))
        else:
            matrices = [parameters[name] for name in groups.matrices]
            plain.append({"params": matrices, "weight_decay": settings.weight_decay})
        parts.append(torch.optim.AdamW(plain, lr=settings.learning_rate, betas=settings.betas, eps=1e-10))
        return cls(parts, settings.learning_rate)

    def step(self, scale: float) -> None:
        """Move the weights at scale times the peak learning rate, and clear the gradients."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = scale * self._peak
            part.step()
        self.clear()

    def clear(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


class Schedule(Protocol):
    """How the learning rate runs over a training."""

    @property
    def total_steps(self) -> int: ...

    def scale(self, step: int) -> float:
        """Fraction of the peak learning rate at step (from 0)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """Linear warm-up, then half a cosine down to floor times the peak."""

    warmup_steps: int
    decay_steps: int
    floor: float = 0.1

    @property
    def total_steps(self) -> int:
        return self.warmup_steps + self.decay_steps

    def scale(self, step: int) -> float:
        """Fraction of the peak learning rate at step (from 0)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        share = min(1.0, (step + 1 - self.warmup_steps) / max(1, self.decay_steps))
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + math.cos(math.pi * share))


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupStableDecay:
    """Linear warm-up, constant, then 1 - sqrt down to zero. A run may be branched anywhere in its constant part.

    Source     Haegele et al. 2024, arXiv:2405.18392
    """

    warmup_steps: int
    stable_steps: int
    decay_steps: int

    @property
    def total_steps(self) -> int:
        return self.warmup_steps + self.stable_steps + self.decay_steps

    def scale(self, step: int) -> float:
        """Fraction of the peak learning rate at step (from 0)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        into_decay = step + 1 - self.warmup_steps - self.stable_steps
        if into_decay <= 0:
            return 1.0
        return max(0.0, 1.0 - math.sqrt(into_decay / (self.decay_steps + 1)))

    def decay_progress(self, step: int) -> float:
        """0 before the decay, 1 at its end."""
        return min(1.0, max(0.0, (step - self.warmup_steps - self.stable_steps) / max(1, self.decay_steps)))
