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
    """subs, and the share of steps that each gets.

    sandwich: every step trains the largest, the smallest and one between (by parameters), in place of one drawn by
    share.
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

    def step_kinds(self, *, has_teacher: bool) -> list[tuple[tuple[SubConfig, ...], float]]:
        """The sub-models that a step may train, largest first, and the share of steps that do."""
        pairs = sorted(zip(self.subs, self.shares, strict=True), key=lambda pair: -pair[0].config.num_parameters)
        largest, *others = (sub for sub, _ in pairs)
        if self.sandwich and others:
            *between, smallest = others
            middles: list[tuple[SubConfig, ...]] = [(sub,) for sub in between] or [()]
            return [((largest, *middle, smallest), 1.0 / len(middles)) for middle in middles]
        total = sum(self.shares)
        is_own_teacher = not has_teacher
        return [
            ((largest, sub) if is_own_teacher and sub != largest else (sub,), share / total) for sub, share in pairs
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lesson:
    """What is to be imitated: hidden vectors (B, T, E) and their output matrix (V, E)."""

    hidden_BTE: Tensor
    head_VE: Tensor


class ElasticLoss:
    """A LossFunction over nested sub-models. Which one a step trains follows from (seed, step) alone."""

    def __init__(self, settings: ElasticSettings, teacher: HybridLM | None = None) -> None:
        self.settings, self.teacher = settings, teacher
        self._kinds = settings.step_kinds(has_teacher=teacher is not None)
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
        rng = np.random.default_rng((self.settings.seed, step, 2))
        subs, _ = self._kinds[int(rng.choice(len(self._kinds), p=[share for _, share in self._kinds]))]
        return subs

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
    """Mean KL(teacher || sub) over the targets of held-out batches, in nats a token.

    Raises     InputError for a teacher of another vocabulary
    """
    check_teacher(teacher.config, sub.config)
    total, count = 0.0, 0
    for batch in batches:
        place = placed(batch, teacher)
        said = teacher.hidden(place.tokens, resets=place.resets)
        kl = kl_loss(_run(nested, sub, batch), nested.head(sub), said, head_of(teacher), place.targets)
        total += float(kl) * batch.num_targets
        count += batch.num_targets
    return total / max(1, count)
