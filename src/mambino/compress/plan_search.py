"""Choose number formats under a size limit by what they cost: lower one group of matrices at a time and measure.

A group's cost is how much the measured divergence rises when only that group is lowered; costs are taken to add up.
Knows plans and a measuring function, no engine and no text. Start at search_plan.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mambino.errors import FormatError, InputError
from mambino.formats.json_file import read_json
from mambino.formats.mapped import replacing
from mambino.quant.plan import QuantPlan, Shapes, kind_of, tensor_nbytes
from mambino.quant.types import F32, TYPES, QuantType

Measure = Callable[[QuantPlan], float]  # mean KL to the source, in nats
Progress = Callable[[str, int, int], None]  # (what is measured, done, in all)

# Smallest first. Q4_0 and Q4_1 are never best: IQ4_NL and Q4_K have half a level's error less at 4.5 bits, and half of
# a model at 4.5 and half at 5.5 bits lies below all of it at 5.
_OFFERED_256 = ("Q4_K", "Q5_K", "Q6_K", "Q8_0")
_OFFERED_32 = ("IQ4_NL", "Q5_0", "Q5_1", "Q8_0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Matrices that get one type together: one kind, one part of the depth, one row length."""

    name: str
    owns: tuple[str, ...]
    offered: tuple[QuantType, ...]

    def nbytes(self, quant_type: QuantType, shapes: Shapes) -> int:
        return sum(tensor_nbytes(quant_type, shapes[own]) for own in self.owns)


def groups_of(shapes: Shapes, *, bands: int = 3) -> list[Group]:
    """Every matrix in one group: by kind, and by which of bands parts of the depth it is in.

    Raises     InputError for rows that no block of 32 divides
    """
    depth = 1 + max((_layer_of(own) for own in shapes), default=0)
    owns: dict[tuple[str, int, int], list[str]] = {}
    for own, shape in shapes.items():
        if len(shape) == 2:
            band = _layer_of(own) * bands // depth if own.startswith("layers.") else 0
            owns.setdefault((kind_of(own), band, shape[-1]), []).append(own)
    return [
        Group(name=f"{kind}.{band}.{cols}", owns=tuple(names), offered=_offered(names[0], cols))
        for (kind, band, cols), names in owns.items()
    ]


def _layer_of(own: str) -> int:
    return int(own.split(".")[1]) if own.startswith("layers.") else 0


def _offered(own: str, cols: int) -> tuple[QuantType, ...]:
    if cols % 32:
        raise InputError(f"[plan] tensor {own}: rows of {cols} are not whole blocks of 32; only F16 and BF16 hold it")
    return tuple(TYPES[name] for name in (_OFFERED_32 if cols % 256 else _OFFERED_256))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """expected_kl adds up the measured parts; measured_kl is that of the whole plan."""

    plan: QuantPlan
    nbytes: int
    expected_kl: float
    measured_kl: float


def search_plan(
    shapes: Shapes,
    max_nbytes: int,
    measure: Measure,
    *,
    notes: Path | None = None,
    about: str = "",
    on_progress: Progress | None = None,
) -> SearchResult:
    """The best plan found whose tensors take at most max_nbytes.

    notes: a file that keeps every measurement, so that a search goes on where it stopped, or another size costs one
    measurement only; about: what the measurements depend on (model, text), checked when notes are read again.
    Raises     InputError if even the smallest types do not fit, or notes are of something else
    """
    groups = groups_of(shapes)
    measurements = _Measurements(measure, notes, about)
    highest = _plan_of("highest", {group.name: group.offered[-1] for group in groups}, groups, shapes)
    steps = [(group, offered) for group in groups for offered in group.offered[:-1]]
    floor = measurements.get(highest)
    costs: dict[tuple[str, str], float] = {}
    for done, (group, offered) in enumerate(steps, start=1):
        key = f"{group.name} {offered.name}"
        lowered = QuantPlan(name=key, types={**highest.types, **dict.fromkeys(group.owns, offered)})
        costs[group.name, offered.name] = max(measurements.get(lowered) - floor, 0.0)
        if on_progress:
            on_progress(key, done, len(steps))
    chosen = choose_types(groups, costs, shapes, max_nbytes)
    plan = _plan_of("searched", chosen, groups, shapes)
    expected = floor + sum(costs.get((name, chosen_type.name), 0.0) for name, chosen_type in chosen.items())
    return SearchResult(plan=plan, nbytes=plan.nbytes(shapes), expected_kl=expected, measured_kl=measure(plan))


def choose_types(
    groups: list[Group], costs: Mapping[tuple[str, str], float], shapes: Shapes, max_nbytes: int
) -> dict[str, QuantType]:
    """A type for each group by name: from the smallest types up, always the step that saves most cost a byte.

    Only steps along the lower convex hull of a group's (bytes, cost) are taken, so that their worth falls.
    Raises     InputError if even the smallest types take more than max_nbytes
    """
    chosen = {group.name: group.offered[0] for group in groups}
    left = max_nbytes - _small_nbytes(shapes) - sum(group.nbytes(chosen[group.name], shapes) for group in groups)
    if left < 0:
        raise InputError(
            f"[plan] the smallest types take {max_nbytes - left} bytes, {-left} too many; allow a larger file"
        )
    steps = [step for group in groups for step in _hull_steps(group, costs, shapes)]
    full: set[str] = set()  # groups with a step that did not fit
    for step in sorted(steps, key=lambda step: -step.worth):
        if step.group in full or step.nbytes > left:
            full.add(step.group)
        else:
            left -= step.nbytes
            chosen[step.group] = step.to
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """From one type of a group to a better one: cost saved a byte, and bytes."""

    worth: float
    group: str
    to: QuantType
    nbytes: int


def _hull_steps(group: Group, costs: Mapping[tuple[str, str], float], shapes: Shapes) -> list[_Step]:
    """The steps along the lower convex hull of the group's (bytes, cost), in order."""
    points = [
        (group.nbytes(offered, shapes), costs.get((group.name, offered.name), 0.0), offered)
        for offered in group.offered
    ]
    steps: list[_Step] = []
    at, cost, _ = points[0]
    while further := [point for point in points if point[0] > at and point[1] < cost]:
        better = max(further, key=lambda point: (cost - point[1]) / (point[0] - at))
        worth = (cost - better[1]) / (better[0] - at)
        steps.append(_Step(worth=worth, group=group.name, to=better[2], nbytes=better[0] - at))
        at, cost, _ = better
    return steps


def _small_nbytes(shapes: Shapes) -> int:
    return sum(tensor_nbytes(F32, shape) for shape in shapes.values() if len(shape) != 2)


def _plan_of(name: str, chosen: Mapping[str, QuantType], groups: list[Group], shapes: Shapes) -> QuantPlan:
    of_matrix = {own: chosen[group.name] for group in groups for own in group.owns}
    return QuantPlan(name=name, types={own: of_matrix.get(own, F32) for own in shapes})


class _Measurements:
    """What was measured, by the plan's name, kept in a file after every measurement."""

    def __init__(self, measure: Measure, path: Path | None, about: str) -> None:
        self._measure, self._path, self._about, self._kl = measure, path, about, dict[str, float]()
        if path is not None and path.exists():
            document = read_json(path)
            kept = document.get("kl")
            if document.get("about") != about or not isinstance(kept, dict):
                raise InputError(f"{path}: holds measurements of another model or text; choose another file")
            for key, value in kept.items():
                if not isinstance(value, int | float):
                    raise FormatError(f"{path}: {key}: expected a number, got {value!r:.40}; remove the file")
                self._kl[key] = float(value)

    def get(self, plan: QuantPlan) -> float:
        if plan.name not in self._kl:
            self._kl[plan.name] = self._measure(plan)
            if self._path is not None:
                with replacing(self._path) as file:
                    file.write(json.dumps({"about": self._about, "kl": self._kl}, indent=1).encode())
        return self._kl[plan.name]
