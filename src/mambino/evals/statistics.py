"""Metrics over samples, with bootstrap intervals; one run alone, or two runs paired by sample. NumPy only.

Start at summarize.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mambino.evals.task import Share

Float64Array = NDArray[np.float64]
RESAMPLES = 2000
CONFIDENCE = 0.95
_ROWS_AT_ONCE = 1 << 22  # sample indices held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """value is the sum of parts over the sum of wholes; low and high its 95 % bootstrap interval over samples."""

    value: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """B minus A over the samples that both have. p: twice the share of resamples beyond zero, at most 1."""

    value: float
    low: float
    high: float
    p: float
    samples: int


def summarize(shares: Sequence[Share], *, seed: int = 0) -> Summary | None:
    """None if there is nothing to divide by."""
    part, whole = _arrays(shares)
    if not whole.sum():
        return None
    value = float(part.sum() / whole.sum())
    low, high = _interval(_resampled(part[:, None], whole[:, None], seed)[:, 0])
    if value in (0.0, 1.0) and low == high:  # resampling cannot see what never happened: Clopper and Pearson's bound
        room = 1.0 - ((1.0 - CONFIDENCE) / 2) ** (1.0 / len(shares))
        low, high = (0.0, room) if value == 0.0 else (1.0 - room, 1.0)
    return Summary(value=value, low=low, high=high, samples=len(shares))


def compare(a: Mapping[str, Share], b: Mapping[str, Share], *, seed: int = 0) -> Difference | None:
    """Paired over the sample ids that both have; None if there are none."""
    both = sorted(a.keys() & b.keys())
    (part_a, whole_a), (part_b, whole_b) = _arrays([a[key] for key in both]), _arrays([b[key] for key in both])
    if not whole_a.sum() or not whole_b.sum():
        return None
    values = _resampled(np.stack([part_a, part_b], 1), np.stack([whole_a, whole_b], 1), seed)
    differences = values[:, 1] - values[:, 0]
    low, high = _interval(differences)
    tail = min(float((differences <= 0).mean()), float((differences >= 0).mean()))
    value = float(part_b.sum() / whole_b.sum() - part_a.sum() / whole_a.sum())
    return Difference(value=value, low=low, high=high, p=min(1.0, 2 * tail), samples=len(both))


def _arrays(shares: Sequence[Share]) -> tuple[Float64Array, Float64Array]:
    return np.array([share.part for share in shares], float), np.array([share.whole for share in shares], float)


def _resampled(part: Float64Array, whole: Float64Array, seed: int) -> Float64Array:
    """Ratios of column sums over resampled rows: (n, runs) twice -> (RESAMPLES, runs); empty resamples are left out."""
    rng, rows = np.random.default_rng(seed), len(part)
    at_once = max(1, _ROWS_AT_ONCE // rows)
    parts, wholes = [], []
    for begin in range(0, RESAMPLES, at_once):
        index = rng.integers(rows, size=(min(at_once, RESAMPLES - begin), rows))
        parts.append(part[index].sum(axis=1))
        wholes.append(whole[index].sum(axis=1))
    numerators, denominators = np.concatenate(parts), np.concatenate(wholes)
    kept = (denominators > 0).all(axis=1)
    ratios: Float64Array = numerators[kept] / denominators[kept]
    return ratios


def _interval(values: Float64Array) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
