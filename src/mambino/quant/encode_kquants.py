"""Encode the formats with blocks of 256 and quantised scales: Q4_K, Q5_K, Q6_K.

Every sub-block is fitted alone, its scale (and offset) rounded to a small integer, then block scales and integers are
fitted again to each other. Values and weights come as (n, S B): sub-block s of block b is column b S + s.
Start at K_ENCODERS.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mambino.quant.decode import LAYOUTS
from mambino.quant.fit import Float32Array, fit_scale, fit_scale_and_offset, inverse, round_to_integers

Blocks = NDArray[np.void]
ByteArray = NDArray[np.uint8]

_ROUNDS = 2  # of "round values, fit block scales, fit integers"
_MAX_6BIT = 63

_STEPS_4BIT = (15.0, 13.0, 13.5, 14.0, 14.5, 15.5, 16.0, 16.5, 17.0)
_STEPS_5BIT = (31.0, 29.5, 30.0, 30.5, 31.5, 32.0, 32.5)
_STARTS_6BIT = (-32.0, -31.0, -31.5, -32.5, -33.0, 31.0, 31.5)


class _Affine:
    """B blocks of 8 sub-blocks, w = d sc q - dmin m: everything of a Q4_K or Q5_K block but its layout.

    d and dmin are (B,), sc and m integers as floats (B, 8).
    """

    def __init__(self, values: Float32Array, weights: Float32Array, top: int, starts: tuple[float, ...]) -> None:
        self.values, self.weights = values, weights
        self.weighted = values * weights
        self.rounded = round_to_integers(0, top)
        scale, offset = fit_scale_and_offset(values, weights, top, starts, offset_at_most_zero=True)
        scale, minimum = scale.reshape(-1, 8), -offset.reshape(-1, 8)
        self.d = _stored(scale.max(axis=1) / _MAX_6BIT)
        self.dmin = _stored(minimum.max(axis=1) / _MAX_6BIT)
        self.sc = _six_bits(scale * inverse(self.d)[:, None])
        self.m = _six_bits(minimum * inverse(self.dmin)[:, None])
        self.total = self._sub_sums(weights)
        self.first = self._sub_sums(self.weighted)
        for _ in range(_ROUNDS):
            self._refit()

    def codes(self) -> ByteArray:
        """(B, 8, 32)"""
        return self._levels().astype(np.uint8).T.reshape(-1, 8, 32)

    def _levels(self) -> Float32Array:
        scale = (self.d[:, None] * self.sc).reshape(-1)
        minimum = (self.dmin[:, None] * self.m).reshape(-1)
        return self.rounded((self.values + minimum) * inverse(scale))

    def _sub_sums(self, terms: Float32Array) -> Float32Array:
        sums: Float32Array = terms.sum(axis=0).reshape(-1, 8)
        return sums

    def _refit(self) -> None:
        """Given levels: the best d and dmin together, then the best integers under those. Mutates self."""
        levels = self._levels()
        along = np.einsum("ng,ng->g", self.weighted, levels).reshape(-1, 8)
        ones = np.einsum("ng,ng->g", self.weights, levels).reshape(-1, 8)
        squares = np.einsum("ng,ng,ng->g", self.weights, levels, levels).reshape(-1, 8)
        self._refit_block_scales(along, ones, squares)
        # Given d and dmin, sub-blocks are independent: sc for the present m, then m for the new sc.
        scale = (along + self.dmin[:, None] * self.m * ones) * inverse(squares)
        self.sc = np.where(squares > 0, _six_bits(scale * inverse(self.d)[:, None]), self.sc)
        minimum = (self.d[:, None] * self.sc * ones - self.first) * inverse(self.total)
        self.m = _six_bits(minimum * inverse(self.dmin)[:, None])

    def _refit_block_scales(self, along: Float32Array, ones: Float32Array, squares: Float32Array) -> None:
        """Weighted least squares over the block: x = d (sc q) - dmin (m)."""
        aa = (self.sc * self.sc * squares).sum(axis=1)
        ab = (self.sc * self.m * ones).sum(axis=1)
        bb = (self.m * self.m * self.total).sum(axis=1)
        xa, xb = (self.sc * along).sum(axis=1), (self.m * self.first).sum(axis=1)
        determinant = inverse(aa * bb - ab * ab)
        d = (bb * xa - ab * xb) * determinant
        dmin = (ab * xa - aa * xb) * determinant
        solvable = (determinant > 0) & (d > 0) & (dmin > 0)
        self.d = np.where(solvable, _stored(d), self.d)
        self.dmin = np.where(solvable, _stored(dmin), self.dmin)


def _six_bits(values: Float32Array) -> Float32Array:
    return np.clip(np.rint(values), 0, _MAX_6BIT)


def _stored(scale: Float32Array) -> Float32Array:
    """As float16 keeps it."""
    return scale.astype("<f2").astype(np.float32)


def _packed_scales(sc: Float32Array, m: Float32Array) -> ByteArray:
    """(B, 8), (B, 8) -> (B, 12): the inverse of decode._k_scales."""
    scale, minimum = sc.astype(np.uint8), m.astype(np.uint8)
    first = scale[:, :4] | (scale[:, 4:] >> 4 << 6)
    second = minimum[:, :4] | (minimum[:, 4:] >> 4 << 6)
    third = (scale[:, 4:] & 15) | (minimum[:, 4:] << 4)
    return np.concatenate([first, second, third], axis=1)


def _affine_blocks(name: str, fitted: _Affine) -> tuple[Blocks, ByteArray]:
    """Blocks with everything but the fifth bits, and the codes."""
    codes = fitted.codes()
    blocks = np.empty(len(codes), LAYOUTS[name])
    blocks["d"], blocks["dmin"] = fitted.d, fitted.dmin
    blocks["scales"] = _packed_scales(fitted.sc, fitted.m)
    blocks["q"] = (codes[:, 0::2] & 15) | (codes[:, 1::2] << 4)
    return blocks, codes


def _encode_q4_k(values: Float32Array, weights: Float32Array) -> Blocks:
    return _affine_blocks("Q4_K", _Affine(values, weights, 15, _STEPS_4BIT))[0]


def _encode_q5_k(values: Float32Array, weights: Float32Array) -> Blocks:
    blocks, codes = _affine_blocks("Q5_K", _Affine(values, weights, 31, _STEPS_5BIT))
    blocks["high"] = np.packbits(codes >> 4, axis=1, bitorder="little")[:, 0]
    return blocks


def _encode_q6_k(values: Float32Array, weights: Float32Array) -> Blocks:
    rounded = round_to_integers(-32, 31)
    weighted = values * weights
    scale = fit_scale(values, weights, rounded, _STARTS_6BIT).reshape(-1, 16)
    extreme = np.take_along_axis(scale, np.abs(scale).argmax(axis=1)[:, None], axis=1)[:, 0]
    d = _stored(extreme / np.float32(-128))
    sc = _eight_bits(scale * inverse(d)[:, None])
    for _ in range(_ROUNDS):
        levels = rounded(values * inverse((d[:, None] * sc).reshape(-1)))
        along = np.einsum("ng,ng->g", weighted, levels).reshape(-1, 16)
        squares = np.einsum("ng,ng,ng->g", weights, levels, levels).reshape(-1, 16)
        refitted = _stored((sc * along).sum(axis=1) * inverse((sc * sc * squares).sum(axis=1)))
        d = np.where(refitted != 0, refitted, d)
        sc = np.where(squares > 0, _eight_bits(along * inverse(squares) * inverse(d)[:, None]), sc)
    levels = rounded(values * inverse((d[:, None] * sc).reshape(-1)))
    codes = (levels + 32).astype(np.uint8).T.reshape(-1, 2, 4, 32)
    blocks = np.empty(len(codes), LAYOUTS["Q6_K"])
    blocks["d"], blocks["scales"] = d, sc
    low = (codes & 15).reshape(-1, 2, 2, 64)
    blocks["low"] = low[:, :, 0] | (low[:, :, 1] << 4)
    high = codes >> 4
    blocks["high"] = high[:, :, 0] | (high[:, :, 1] << 2) | (high[:, :, 2] << 4) | (high[:, :, 3] << 6)
    return blocks


def _eight_bits(values: Float32Array) -> Float32Array:
    return np.clip(np.rint(values), -128, 127)


# name -> (values of a sub-block, encoder)
K_ENCODERS: dict[str, tuple[int, Callable[[Float32Array, Float32Array], Blocks]]] = {
    "Q4_K": (32, _encode_q4_k),
    "Q5_K": (32, _encode_q5_k),
    "Q6_K": (16, _encode_q6_k),
}
