"""Fit the scale, or the scale and offset, of many small groups of values at once: weighted least squares.

Groups are columns: values (n, G) hold n values of each of G groups, so that every sum over a group is a sum of rows.
Rounding to levels and solving for the scale alternate, from several starts; each step can only lower the error.
Knows no formats. Start at fit_scale and fit_scale_and_offset.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Round = Callable[[Float32Array], Float32Array]  # real numbers to the nearest levels of a format

_REFINEMENTS = 2  # rounds of "round, solve" after the best start; a third changes the error by less than 0.1 %


def round_to_integers(low: int, high: int) -> Round:
    """The levels low, low + 1, ..., high."""

    def rounded(values: Float32Array) -> Float32Array:
        levels: Float32Array = np.rint(values)
        return np.clip(levels, low, high, out=levels)

    return rounded


def inverse(values: Float32Array) -> Float32Array:
    """1 / values, and 0 where that is not a number of float32."""
    with np.errstate(divide="ignore", over="ignore"):
        inverted = np.float32(1) / values
    inverted[~np.isfinite(inverted)] = 0
    return inverted


def fit_scale(values: Float32Array, weights: Float32Array, rounded: Round, starts: Sequence[float]) -> Float32Array:
    """The scales d that make sum w (x - d q)^2 small, with q = rounded(x / d).

    starts: the levels, of either sign, that the largest value of a group is tried at.
    Shapes     values, weights (n, G) -> (G,); 0 for groups of zeros
    """
    largest = np.take_along_axis(values, np.abs(values).argmax(axis=0)[None], axis=0)[0]
    weighted = weights * values
    per_level = inverse(largest)
    scale, gain = _solved(values, weights, weighted, rounded, per_level * np.float32(starts[0]))
    for start in starts[1:]:
        _keep_better((scale, gain), _solved(values, weights, weighted, rounded, per_level * np.float32(start)))
    for _ in range(_REFINEMENTS):
        _keep_better((scale, gain), _solved(values, weights, weighted, rounded, inverse(scale)))
    return scale


def _solved(
    values: Float32Array, weights: Float32Array, weighted: Float32Array, rounded: Round, per_scale: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """The best scale for the levels rounded(x * per_scale), and by how much it lowers sum w x^2."""
    levels = rounded(values * per_scale)
    along = np.einsum("ng,ng->g", weighted, levels)
    np.multiply(levels, levels, out=levels)
    scale: Float32Array = along * inverse(np.einsum("ng,ng->g", weights, levels))
    return scale, scale * along


def fit_scale_and_offset(
    values: Float32Array, weights: Float32Array, top: int, starts: Sequence[float], *, offset_at_most_zero: bool
) -> tuple[Float32Array, Float32Array]:
    """The d >= 0 and m that make sum w (x - d q - m)^2 small, with q the nearest of 0, 1, ..., top.

    starts: the numbers of steps that the range of a group is tried to be divided into.
    Shapes     values, weights (n, G) -> (G,), (G,)
    """
    rounded = round_to_integers(0, top)
    sums = _Sums(values, weights)
    low = values.min(axis=0)
    if offset_at_most_zero:
        np.minimum(low, 0, out=low)
    per_step = inverse(values.max(axis=0) - low)
    shifted = values - low
    best = sums.solve(rounded(shifted * (per_step * np.float32(starts[0]))), offset_at_most_zero)
    for start in starts[1:]:
        _keep_better(best, sums.solve(rounded(shifted * (per_step * np.float32(start))), offset_at_most_zero))
    for _ in range(_REFINEMENTS):
        scale, offset, _gain = best
        _keep_better(best, sums.solve(rounded((values - offset) * inverse(scale)), offset_at_most_zero))
    scale, offset, _gain = best
    return scale, offset


class _Sums:
    """The sums over a group that do not depend on its levels, and the 2 x 2 least squares on top of them."""

    def __init__(self, values: Float32Array, weights: Float32Array) -> None:
        self.weights = weights
        self.weighted = weights * values
        self.total = weights.sum(axis=0)
        self.first = self.weighted.sum(axis=0)

    def solve(self, levels: Float32Array, offset_at_most_zero: bool) -> tuple[Float32Array, Float32Array, Float32Array]:
        """(scale, offset, by how much they lower sum w x^2) for given levels (n, G)."""
        along = np.einsum("ng,ng->g", self.weighted, levels)
        ones = np.einsum("ng,ng->g", self.weights, levels)
        np.multiply(levels, levels, out=levels)
        squares = np.einsum("ng,ng->g", self.weights, levels)
        determinant = inverse(self.total * squares - ones * ones)
        scale = (self.total * along - ones * self.first) * determinant
        offset = (squares * self.first - ones * along) * determinant
        flat = (determinant <= 0) | (scale <= 0)  # one level for all: the mean
        scale[flat] = 0
        offset[flat] = (self.first / self.total)[flat]
        if offset_at_most_zero:
            positive = offset > 0
            scale[positive] = (along * inverse(squares))[positive]
            offset[positive] = 0
        return scale, offset, scale * along + offset * self.first


def _keep_better(best: tuple[Float32Array, ...], other: tuple[Float32Array, ...]) -> None:
    """Where other's last entry, the gain, is larger, copy all of its entries. Mutates best."""
    better = other[-1] > best[-1]
    for kept, new in zip(best, other, strict=True):
        np.copyto(kept, new, where=better)
