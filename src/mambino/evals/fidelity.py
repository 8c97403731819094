"""How close one evaluation of a text is to another: for quantisation, kernels, and other runtimes. Plain NumPy.

Start at compare_logits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mambino.errors import InputError
from mambino.lm import Float32Array, Int32Array

_ROWS_AT_ONCE = 64  # bounds the float64 copies to 64 rows of the vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Candidate logits against reference logits over T positions of one text.

    kl: mean KL(reference || candidate), nats. kl_interval: half width of its 95 % interval (normal, positions taken as
    independent). agreement: share of positions with the same most likely token. perplexity_change: candidate perplexity
    over reference perplexity, minus one. correlation: Pearson, over all logits.
    """

    kl: float
    kl_interval: float
    agreement: float
    perplexity_change: float
    correlation: float


def compare_logits(reference: Float32Array, candidate: Float32Array, tokens: Int32Array) -> Fidelity:
    """Compare two evaluations of the same text.

    Shapes     reference, candidate (T, V), row t predicting token t + 1; tokens (T,)
    Raises     InputError if shapes differ or there are fewer than two tokens
    """
    if reference.shape != candidate.shape or tokens.shape != reference.shape[:1] or tokens.size < 2:
        raise InputError(
            f"[fidelity] expected two (T, V) arrays and T >= 2 tokens, got {reference.shape}, {candidate.shape}, "
            f"{tokens.shape}"
        )
    kl = np.empty(len(tokens))
    loss_change = np.zeros(len(tokens) - 1)
    for begin in range(0, len(tokens), _ROWS_AT_ONCE):
        rows = slice(begin, begin + _ROWS_AT_ONCE)
        log_p, log_q = _log_softmax(reference[rows]), _log_softmax(candidate[rows])
        kl[rows] = np.sum(np.exp(log_p) * (log_p - log_q), axis=1)
        following = tokens[begin + 1 : begin + 1 + len(log_p)]
        index = (np.arange(len(following)), following)
        loss_change[begin : begin + len(following)] = log_p[index] - log_q[index]
    same = reference.argmax(axis=1) == candidate.argmax(axis=1)
    return Fidelity(
        kl=float(kl.mean()),
        kl_interval=float(1.96 * kl.std(ddof=1) / np.sqrt(len(kl))),
        agreement=float(same.mean()),
        perplexity_change=float(np.expm1(loss_change.mean())),
        correlation=_correlation(reference, candidate),
    )


def _log_softmax(logits: Float32Array) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    normalised: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def _correlation(a: Float32Array, b: Float32Array) -> float:
    """Pearson's, with sums in float64 and no float64 copy of the arrays."""
    mean_a, mean_b = float(a.mean(dtype=np.float64)), float(b.mean(dtype=np.float64))
    aa = bb = ab = 0.0
    for row_a, row_b in zip(a, b, strict=True):
        da, db = row_a.astype(np.float64) - mean_a, row_b.astype(np.float64) - mean_b
        aa, bb, ab = aa + float(da @ da), bb + float(db @ db), ab + float(da @ db)
    return ab / float(np.sqrt(aa * bb))
