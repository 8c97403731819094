"""Encode the formats with blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL.

An encoder takes values and weights (32, B), one block a column, and returns B blocks as records of decode.LAYOUTS.
The scale is rounded to float16 before the values are rounded to levels of it. Start at BLOCK_ENCODERS.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mambino.quant.decode import IQ4_VALUES, LAYOUTS
from mambino.quant.fit import Float32Array, Round, fit_scale, fit_scale_and_offset, inverse, round_to_integers

Blocks = NDArray[np.void]
ByteArray = NDArray[np.uint8]

_IQ4_STEPS = 4  # table entries a unit when rounding to IQ4_VALUES: halves the distance of any tie to the boundary
_IQ4_REACH = 160  # beyond it every value is at an end of the table


def _iq4_table() -> NDArray[np.uint8]:
    """Index of the nearest of IQ4_VALUES, for real numbers from -_IQ4_REACH in steps of 1 / _IQ4_STEPS."""
    at = np.arange(-_IQ4_REACH * _IQ4_STEPS, _IQ4_REACH * _IQ4_STEPS + 1) / _IQ4_STEPS
    nearest: NDArray[np.uint8] = np.abs(at[:, None] - IQ4_VALUES).argmin(axis=1).astype(np.uint8)
    return nearest


_IQ4_NEAREST = _iq4_table()
_IQ4_ROUNDED = IQ4_VALUES[_IQ4_NEAREST]


def _iq4_entry(values: Float32Array) -> NDArray[np.intp]:
    """Where in the tables the nearest level of each value is."""
    limit = np.float32(_IQ4_REACH * _IQ4_STEPS)
    steps = values * np.float32(_IQ4_STEPS)
    steps += limit + np.float32(0.5)  # truncation then rounds
    np.clip(steps, 0, 2 * limit, out=steps)
    entries: NDArray[np.intp] = steps.astype(np.intp)
    return entries


def _round_to_iq4(values: Float32Array) -> Float32Array:
    return _IQ4_ROUNDED.take(_iq4_entry(values), mode="clip")  # they are in range; "clip" spares take its own check


def _around(level: float, spread: float, count: int) -> list[float]:
    """level, then count - 1 others evenly within level +- spread."""
    others = np.linspace(level - spread, level + spread, count)
    return [level, *(float(other) for other in others if other != level)]


# The largest value may become any level of either sign near the ends, or one past them: a scale that clips it is best
# where its weight is small. Narrower ranges leave a larger error, more starts hardly a smaller one.
_STARTS_4BIT = [*_around(-8, 2.4, 9), *_around(7, 1.2, 3)]
_STARTS_5BIT = [*_around(-16, 3.0, 9), *_around(15, 1.6, 3)]
_STARTS_IQ4 = [*_around(-127, 36, 9), *_around(113, 24, 5)]
_STEPS_4BIT = _around(15, 2.0, 13)
_STEPS_5BIT = _around(31, 3.9, 13)


def _halves(scale: Float32Array) -> NDArray[np.float16]:
    return scale.astype("<f2")


def _codes(values: Float32Array, scale: NDArray[np.float16], offset: Float32Array | None, rounded: Round) -> ByteArray:
    """Levels of values under the stored scale, lifted so that the lowest is 0."""
    shifted = values if offset is None else values - offset
    return rounded(shifted * inverse(scale.astype(np.float32))).astype(np.int8).view(np.uint8)


def _nibbles(codes: ByteArray) -> ByteArray:
    """(32, B) -> (B, 16): element i low, element i + 16 high."""
    return np.ascontiguousarray(((codes[:16] & 15) | ((codes[16:] & 15) << 4)).T)


def _fifth_bits(codes: ByteArray) -> ByteArray:
    """(32, B) -> (B, 4): bit i is bit 4 of element i."""
    return np.ascontiguousarray(np.packbits(codes >> 4 & 1, axis=0, bitorder="little").T)


def _encode_q4_0(values: Float32Array, weights: Float32Array) -> Blocks:
    rounded = round_to_integers(-8, 7)
    blocks = np.empty(values.shape[1], LAYOUTS["Q4_0"])
    blocks["d"] = _halves(fit_scale(values, weights, rounded, _STARTS_4BIT))
    blocks["q"] = _nibbles(_codes(values, blocks["d"], None, rounded) + np.uint8(8))
    return blocks


def _encode_q5_0(values: Float32Array, weights: Float32Array) -> Blocks:
    rounded = round_to_integers(-16, 15)
    blocks = np.empty(values.shape[1], LAYOUTS["Q5_0"])
    blocks["d"] = _halves(fit_scale(values, weights, rounded, _STARTS_5BIT))
    codes = _codes(values, blocks["d"], None, rounded) + np.uint8(16)
    blocks["q"], blocks["high"] = _nibbles(codes), _fifth_bits(codes)
    return blocks


def _encode_q4_1(values: Float32Array, weights: Float32Array) -> Blocks:
    blocks = np.empty(values.shape[1], LAYOUTS["Q4_1"])
    scale, offset = fit_scale_and_offset(values, weights, 15, _STEPS_4BIT, offset_at_most_zero=False)
    blocks["d"], blocks["m"] = _halves(scale), _halves(offset)
    blocks["q"] = _nibbles(_codes(values, blocks["d"], blocks["m"].astype(np.float32), round_to_integers(0, 15)))
    return blocks


def _encode_q5_1(values: Float32Array, weights: Float32Array) -> Blocks:
    blocks = np.empty(values.shape[1], LAYOUTS["Q5_1"])
    scale, offset = fit_scale_and_offset(values, weights, 31, _STEPS_5BIT, offset_at_most_zero=False)
    blocks["d"], blocks["m"] = _halves(scale), _halves(offset)
    codes = _codes(values, blocks["d"], blocks["m"].astype(np.float32), round_to_integers(0, 31))
    blocks["q"], blocks["high"] = _nibbles(codes), _fifth_bits(codes)
    return blocks


def _encode_iq4_nl(values: Float32Array, weights: Float32Array) -> Blocks:
    blocks = np.empty(values.shape[1], LAYOUTS["IQ4_NL"])
    blocks["d"] = _halves(fit_scale(values, weights, _round_to_iq4, _STARTS_IQ4))
    entries = _iq4_entry(values * inverse(blocks["d"].astype(np.float32)))
    blocks["q"] = _nibbles(_IQ4_NEAREST.take(entries))
    return blocks


BLOCK_ENCODERS: dict[str, Callable[[Float32Array, Float32Array], Blocks]] = {
    "Q4_0": _encode_q4_0,
    "Q4_1": _encode_q4_1,
    "Q5_0": _encode_q5_0,
    "Q5_1": _encode_q5_1,
    "IQ4_NL": _encode_iq4_nl,
}
