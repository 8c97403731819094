"""What a model costs, in parameters, bytes or seconds, and whether that fits a budget.

Knows configs only: nothing here is a measurement, a LatencyTable is handed in. Start at Budget.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec
from mambino.errors import FormatError, InputError
from mambino.formats.json_file import read_json
from mambino.formats.mapped import replacing
from mambino.formats.names import rows
from mambino.quant.mixes import MIXES, plan_for_mix

Cost = Callable[[HybridConfig], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """name is how it is offered ("50%"); cost says what is counted, limit how much of it there may be."""

    name: str
    cost: Cost
    limit: float

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise InputError(f"[budget] {self.name}: expected a positive limit, got {self.limit}")

    def fits(self, config: HybridConfig) -> bool:
        return self.cost(config) <= self.limit


def parameters(config: HybridConfig) -> float:
    """Stored weights, exactly."""
    return float(config.num_parameters)


def bytes_with(mix: str, *, context: int, kv_bytes: int = 2) -> Cost:
    """Tensors of a file quantised by this mix (quant.mixes), plus the state of one sequence of context tokens: exact.

    Raises     InputError for an unknown mix; the cost raises it for rows that no block of the mix divides
    """
    if mix.lower() not in MIXES:
        raise InputError(f"[budget] mix: expected one of {', '.join(MIXES)}, got {mix!r}")

    def cost(config: HybridConfig) -> float:
        shapes = {row.own: row.shape for row in rows(config)}
        return float(plan_for_mix(mix, shapes).nbytes(shapes) + config.state_nbytes(context, kv_bytes=kv_bytes))

    return cost


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyPoint:
    """Seconds a token of one layer; width is its Mamba channels, queries + keys, neurons, or words.

    The head's include what a token costs whatever the layers.
    """

    kind: str  # mamba, attention, mlp or head
    hidden_size: int
    width: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LatencyTable:
    """Seconds a token by layer kind and width, added up; linear between points, refused outside them."""

    points: tuple[LatencyPoint, ...]

    def __call__(self, config: HybridConfig) -> float:
        layers = sum(self.seconds(*kind_and_width(layer), config.hidden_size) for layer in config.layers)
        return layers + self.seconds("head", config.vocab_size, config.hidden_size)

    def seconds(self, kind: str, width: int, hidden_size: int) -> float:
        """One layer. Raises InputError where the table does not reach."""
        by_hidden: dict[int, list[tuple[int, float]]] = {}
        for point in self.points:
            if point.kind == kind:
                by_hidden.setdefault(point.hidden_size, []).append((point.width, point.seconds))
        if not by_hidden:
            raise InputError(f"[budget] the latency table has no {kind} layers; measure them")
        sizes = sorted(by_hidden)
        at_width = [_between(width, by_hidden[size], kind) for size in sizes]
        return _between(hidden_size, list(zip(sizes, at_width, strict=True)), f"{kind} hidden size")

    def write(self, path: Path) -> None:
        """Mutates path."""
        points = [
            {"kind": p.kind, "hidden_size": p.hidden_size, "width": p.width, "seconds": p.seconds} for p in self.points
        ]
        with replacing(path) as file:
            file.write(json.dumps({"points": points}, indent=1).encode() + b"\n")


def fit_latency(places: Sequence[LatencyPoint], measured: Mapping[HybridConfig, float]) -> LatencyTable:
    """The table with points at these places that comes nearest to the seconds of whole models.

    Nearest: least squares of the relative errors, no point below zero. Seconds that places have are ignored. A table is
    a sum, so what one second at a place adds to a model is what a table of that second alone says.
    """
    units = [
        LatencyTable(tuple(replace(place, seconds=float(place is chosen)) for place in places)) for chosen in places
    ]
    shares = np.array([[unit(config) / seconds for unit in units] for config, seconds in measured.items()])
    solved = _non_negative(shares, np.ones(len(measured)))
    return LatencyTable(
        tuple(replace(place, seconds=float(value)) for place, value in zip(places, solved, strict=True))
    )


def _non_negative(matrix: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares; the most negative unknown is set to zero and the rest solved again, until none is negative."""
    solved, kept = np.zeros(matrix.shape[1]), np.arange(matrix.shape[1])
    values = np.linalg.lstsq(matrix, target, rcond=None)[0]
    while (values < 0).any():
        kept = np.delete(kept, values.argmin())
        values = np.linalg.lstsq(matrix[:, kept], target, rcond=None)[0]
    solved[kept] = values
    return solved


def read_latency_table(path: Path) -> LatencyTable:
    """What LatencyTable.write wrote. Raises FormatError."""
    points = read_json(path).get("points")
    if not isinstance(points, list):
        raise FormatError(f"{path}: not a latency table; measure again")
    return LatencyTable(tuple(_read_point(path, point) for point in points))


def _read_point(path: Path, entry: object) -> LatencyPoint:
    match entry:
        case {
            "kind": str(kind),
            "hidden_size": int(hidden),
            "width": int(width),
            "seconds": int() | float() as seconds,
        }:
            return LatencyPoint(kind=kind, hidden_size=hidden, width=width, seconds=float(seconds))
        case _:
            raise FormatError(f"{path}: damaged point {entry!r:.80}; measure again")


def _between(at: int, points: list[tuple[int, float]], what: str) -> float:
    points = sorted(points)
    places, seconds = [place for place, _ in points], [value for _, value in points]
    if not places[0] <= at <= places[-1]:
        raise InputError(f"[budget] {what} {at}: measured only from {places[0]} to {places[-1]}; measure more sizes")
    return float(np.interp(at, places, seconds))


def kind_and_width(layer: LayerSpec) -> tuple[str, int]:
    """What one layer of a kind is measured by: channels of a Mamba layer, queries, neurons."""
    match layer:
        case MambaSpec():
            return "mamba", layer.inner_size
        case AttentionSpec():
            return "attention", layer.query_size + layer.kv_size
        case _:
            return "mlp", layer.intermediate_size


def budget_of(text: str, parent: HybridConfig, cost: Cost, *, unit: Mapping[str, float] | None = None) -> Budget:
    """ "50%" of the parent's cost, or a number with a unit ("2.5M" parameters, "300MB", "4ms").

    Raises     InputError for anything else, and for more than the parent costs
    """
    whole, number = cost(parent), text.strip()
    known = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9} if unit is None else unit
    try:
        if number.endswith("%"):
            limit = whole * float(number[:-1]) / 100
        else:
            suffix = number.lstrip("0123456789.")
            limit = float(number.removesuffix(suffix)) * known[suffix.strip()]
    except (ValueError, KeyError):
        units = ", ".join(filter(None, known))
        raise InputError(
            f"[budget] {text!r}: expected a share such as 50%, or a number with one of {units}; what is counted "
            f"(parameters, bytes, latency) is another choice (--count)"
        ) from None
    if not 0 < limit <= whole:
        raise InputError(f"[budget] {text}: expected more than nothing and at most the whole model, {whole:.6g}")
    return Budget(name=text, cost=cost, limit=limit)
