"""Elastic training: one set of weights learns to be good at several sizes.

ElasticLoss is a loss for train.loop: every step it runs one sub-model (or, by the sandwich rule, three) on slices of
the shared weights. Start at ElasticLoss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mambino.compress.distill import check_teacher, head_of, kl_loss
from mambino.compress.nested import NestedLM
from mambino.compress.sub import SubConfig
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.data import Batch
from mambino.train.placed import placed

# Letters: B rows, T tokens, D model width, E teacher width, V vocabulary.


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticSettings:
    """subs from large to small, and the share of steps that each gets.

    sandwich: every step trains the largest, the smallest and one between, in place of one drawn by share.
    target_weight of the loss is next-token loss, the rest is KL to the teacher (to the largest sub-model, if there is
    no teacher; that one then learns from the text alone).
    """

    subs: tuple[SubConfig, ...]
    shares: tuple[float, ...]
    sandwich: bool = False
    target_weight: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.subs or len(self.subs) != len(self.shares) or min(self.shares) <= 0:
            raise InputError(
                f"[elastic] expected one positive share a sub-model, got {len(self.subs)} and {self.shares}"
            )
        if not 0.0 <= self.target_weight <= 1.0:
            raise InputError(f"[elastic] target_weight: expected 0 to 1, got {self.target_weight}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lesson:
    """What is to be imitated: hidden vectors (B, T, E) and their output matrix (V, E)."""

    hidden_BTE: Tensor
    head_VE: Tensor


class ElasticLoss:
    """A LossFunction over nested sub-models. Which one a step trains follows from (seed, step) alone."""

    def __init__(self, settings: ElasticSettings, teacher: HybridLM | None = None) -> None:
        self.settings, self.teacher = settings, teacher
        self._nested: NestedLM | None = None

    def __call__(self, model: HybridLM, batch: Batch, step: int) -> Tensor:
        if self._nested is None or self._nested.model is not model:
            if self.teacher is not None:
                check_teacher(self.teacher.config, model.config)
            self._nested = NestedLM(model)
        nested = self._nested
        subs = self.subs_at(step)
        lesson = self._from_teacher(batch)
        losses = []
        for sub in subs:
            hidden = _run(nested, sub, batch)
            losses.append(self._loss_of(hidden, nested.head(sub), batch, lesson))
            if lesson is None and len(subs) > 1:  # the largest comes first and teaches the others
                lesson = _Lesson(hidden_BTE=hidden.detach(), head_VE=nested.head(sub).detach())
        return torch.stack(losses).mean()

    def subs_at(self, step: int) -> tuple[SubConfig, ...]:
        """The sub-models that a step trains, largest first."""
        subs, rng = self.settings.subs, np.random.default_rng((self.settings.seed, step, 2))
        if self.settings.sandwich and len(subs) > 1:
            between = subs[1:-1]
            return (subs[0], *((between[rng.integers(len(between))],) if between else ()), subs[-1])
        shares = np.array(self.settings.shares)
        drawn = subs[int(rng.choice(len(subs), p=shares / shares.sum()))]
        is_own_teacher = self.teacher is None and drawn != subs[0]
        return (subs[0], drawn) if is_own_teacher else (drawn,)

    def _from_teacher(self, batch: Batch) -> _Lesson | None:
        if self.teacher is None:
            return None
        with torch.no_grad():
            place = placed(batch, self.teacher)
            hidden = self.teacher.hidden(place.tokens, resets=place.resets)
        return _Lesson(hidden_BTE=hidden, head_VE=head_of(self.teacher).detach())

    def _loss_of(self, hidden_BTD: Tensor, head_VD: Tensor, batch: Batch, lesson: _Lesson | None) -> Tensor:
        targets = torch.from_numpy(batch.targets_BT).to(hidden_BTD.device)
        if lesson is None:  # KL to anything with weight 0
            lesson, weight = _Lesson(hidden_BTE=hidden_BTD.detach(), head_VE=head_VD.detach()), 1.0
        else:
            weight = self.settings.target_weight
        return kl_loss(hidden_BTD, head_VD, lesson.hidden_BTE, lesson.head_VE, targets, target_weight=weight)


def _run(nested: NestedLM, sub: SubConfig, batch: Batch) -> Tensor:
    place = placed(batch, nested.model)
    return nested.hidden(sub, place.tokens, resets=place.resets)


@torch.no_grad()
def distance(nested: NestedLM, sub: SubConfig, teacher: HybridLM, batches: Sequence[Batch]) -> float:
    """Mean KL(teacher || sub) over the targets of held-out batches, in nats a token."""
    total, count = 0.0, 0
    for batch in batches:
        place = placed(batch, teacher)
        said = teacher.hidden(place.tokens, resets=place.resets)
        kl = kl_loss(_run(nested, sub, batch), nested.head(sub), said, head_of(teacher), place.targets)
        total += float(kl) * batch.num_targets
        count += batch.num_targets
    return total / max(1, count)
