"""Search by trying: every candidate gets the same short distillation, the closest to the teacher wins.

At small scale this beats a router; it is also what a router has to be compared with. promising says which candidates
are worth a trial. Start at try_candidates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from mambino.compress.distill import distillation_loss
from mambino.compress.elastic import distance
from mambino.compress.nested import NestedLM
from mambino.compress.space import Candidate
from mambino.compress.sub import SubConfig
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.data import Batch
from mambino.train.optim import Optimizer, OptimSettings

_SCREENED = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """before and after: KL to the teacher on held-out text, in nats a token."""

    candidate: Candidate
    before: float
    after: float


def promising(
    model: HybridLM, teacher: HybridLM, candidates: Sequence[Candidate], held_out: Sequence[Batch], count: int
) -> list[Candidate]:
    """The count candidates whose slices are closest to the teacher as they are, before any training; closest first.

    Of very many, some are looked at, evenly between the first and the last.
    """
    places = np.linspace(0, len(candidates) - 1, min(_SCREENED, len(candidates))).round().astype(int)
    nested, screened = NestedLM(model), [candidates[int(place)] for place in places]
    return sorted(screened, key=lambda candidate: distance(nested, candidate.sub, teacher, held_out))[:count]


def try_candidates(
    model: HybridLM,
    teacher: HybridLM,
    candidates: Sequence[Candidate],
    batches: Sequence[Batch],
    held_out: Sequence[Batch],
    *,
    optim: OptimSettings,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Trial]:
    """Distil each candidate for one step a batch, from its slice of model; best first. model is left as it is.

    Raises     InputError for no candidates or no held-out text
    """
    if not candidates or not held_out:
        raise InputError("[search] expected candidates and held-out text, got none")
    nested, trials = NestedLM(model), list[Trial]()
    for place, candidate in enumerate(candidates):
        student = nested.extracted(candidate.sub)
        before = distance(nested, candidate.sub, teacher, held_out)
        _distil(student, teacher, batches, optim)
        after = distance(NestedLM(student), SubConfig.whole(student.config), teacher, held_out)
        trials.append(Trial(candidate=candidate, before=before, after=after))
        on_progress(place + 1, len(candidates))
    return sorted(trials, key=lambda trial: trial.after)


def _distil(student: HybridLM, teacher: HybridLM, batches: Sequence[Batch], optim: OptimSettings) -> None:
    optimizer, loss_of = Optimizer.for_model(student, optim), distillation_loss(teacher)
    for step, batch in enumerate(batches):
        loss_of(student, batch, step).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step(1.0 - step / len(batches))
