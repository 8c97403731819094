"""Choosing the sizes of a nested training, once a run: the choice is kept in the run's folder. Start at find_subs."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mambino.cli.terminal import note
from mambino.compress.budget import Budget
from mambino.compress.offered import nested_text
from mambino.compress.router import RouterSettings, search_with_router
from mambino.compress.space import candidates, default_space
from mambino.compress.sub import SubConfig, read_sub
from mambino.compress.trials import promising, try_candidates
from mambino.errors import FormatError
from mambino.formats.json_file import read_json
from mambino.formats.mapped import replacing
from mambino.model.hybrid import HybridLM
from mambino.train.data import Batch, MixedBatches
from mambino.train.optim import OptimSettings
from mambino.train.ranks import Ranks

_CHOICE = "sizes.json"  # in the run's folder
_TRIALS, _TRIAL_STEPS, _ROUTER_STEPS = 6, 20, 200
_OPTIM = OptimSettings(learning_rate=1e-3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """kind: trials, router or largest."""

    kind: str
    is_uneven: bool
    seed: int


def find_subs(
    student: HybridLM,
    teacher: HybridLM,
    budgets: Sequence[Budget],
    search: Search,
    stream: MixedBatches,
    held_out: Sequence[Batch],
    depth_order: Sequence[int] | None,
    run: Path,
    ranks: Ranks,
) -> dict[str, SubConfig]:
    """A sub-model for every budget, by its name. student is left as it is.

    All processes search, which is as quick as waiting; what the first finds is everybody's.
    Mutates    stream; run
    """
    path = run / _CHOICE
    if not path.exists():
        say = note if ranks.is_first else _say_nothing
        order = list(range(len(student.config.layers))) if depth_order is None else list(depth_order)
        if search.kind == "router":
            found = _routed(student, teacher, budgets, search, stream, order, say)
        else:
            found = [_tried(student, teacher, budget, search, stream, held_out, order, say) for budget in budgets]
        if ranks.is_first:
            with replacing(path) as file:
                file.write(nested_text({b.name: sub for b, sub in zip(budgets, found, strict=True)}).encode())
    ranks.total(0.0)  # it is there
    return _chosen(path, student, budgets)


def _say_nothing(text: str) -> None:
    """What all but the first process say."""


def _chosen(path: Path, student: HybridLM, budgets: Sequence[Budget]) -> dict[str, SubConfig]:
    entries = read_json(path).get("subs")
    if not isinstance(entries, dict) or list(entries) != [budget.name for budget in budgets]:
        raise FormatError(f"{path}: damaged; remove it and search again")
    return {name: read_sub(student.config, entry, str(path)) for name, entry in entries.items()}


def _routed(
    student: HybridLM, teacher: HybridLM, budgets: Sequence[Budget], search: Search, stream: MixedBatches,
    order: list[int], say: Callable[[str], None],
) -> list[SubConfig]:  # fmt: skip
    return search_with_router(
        copy.deepcopy(student), teacher, default_space(student.config), budgets,
        [stream.batch(step) for step in range(_ROUTER_STEPS)], depth_order=order, optim=_OPTIM,
        settings=RouterSettings(is_uneven=search.is_uneven, seed=search.seed),
        on_progress=lambda step, loss: say(f"router: {step} of {_ROUTER_STEPS}, KL {loss:.4f}")
        if step % 20 == 0 else None,
    )  # fmt: skip


def _tried(
    student: HybridLM, teacher: HybridLM, budget: Budget, search: Search, stream: MixedBatches,
    held_out: Sequence[Batch], order: list[int], say: Callable[[str], None],
) -> SubConfig:  # fmt: skip
    """The best of a few promising candidates; or simply the largest."""
    fitting = candidates(student.config, default_space(student.config), budget, depth_order=order)
    if search.kind == "largest" or len(fitting) == 1:
        return fitting[0].sub
    say(f"{budget.name}: looking at {len(fitting)} sizes that fit")
    likely = promising(student, teacher, fitting, held_out, _TRIALS)
    trials = try_candidates(
        student, teacher, likely, [stream.batch(step) for step in range(_TRIAL_STEPS)], held_out,
        optim=_OPTIM, on_progress=lambda done, total: say(f"{budget.name}: tried {done} of {total} sizes"),
    )  # fmt: skip
    return trials[0].candidate.sub
