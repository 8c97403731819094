"""Logits to a token id, in pure NumPy: penalties, bias, temperature, top_k, top_p, min_p, then one draw.

Knows no model. Start at Sampler; every step before it is a function that can be tested alone.
Built for large vocabularies: nothing sorts all of V, and the whole choice takes well under a millisecond at V = 131072.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mambino.errors import InputError
from mambino.generation.params import SamplingParams
from mambino.lm import Float32Array

Ids = NDArray[np.int64]
Weights = NDArray[np.float64]

_COLDEST = 1e-30  # still a normal float32; below, 0 / 0 would follow
_BINS = 2048  # of the histogram that finds the edge of top_p; only the tokens in one bin are sorted
_BINS_PER_NAT = 32.0  # so the last bin holds what is e^64 times less likely than the likeliest: nothing
_BLOCK = 256  # tokens whose weights are summed before the cumulative sum of draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What is left of the vocabulary: ids (n,), and their logits (n,) after temperature, largest 0.

    ids is None for the whole vocabulary in order.
    """

    ids: Ids | None
    logits: Float32Array


def penalize_repetition(logits: Float32Array, ids: Ids, penalty: float) -> None:
    """Divide positive and multiply negative logits of ids (distinct) by penalty. Mutates logits."""
    seen = logits[ids]
    logits[ids] = np.where(seen > 0, seen / penalty, seen * penalty)


def penalize_counts(logits: Float32Array, ids: Ids, counts: Ids, presence: float, frequency: float) -> None:
    """Subtract presence + frequency * count from the logits of ids (distinct). Mutates logits."""
    logits[ids] -= (presence + frequency * counts).astype(np.float32)


def add_bias(logits: Float32Array, bias: Mapping[int, float]) -> None:
    """Mutates logits. Ids must be inside the vocabulary."""
    for token, amount in bias.items():
        logits[token] += amount


def require_choice(logits: Float32Array) -> float:
    """The largest logit. Raises InputError if there is none to choose: NaN, +inf, or everything forbidden."""
    largest = float(logits.max())
    if not np.isfinite(largest):
        reason = "every token is forbidden" if largest == -np.inf else "the model's logits are not finite numbers"
        raise InputError(f"[sampling] no token can be chosen: {reason}; check logit_bias, constraint and weights")
    return largest


def scale(logits: Float32Array, temperature: float) -> Float32Array:
    """(logits - max) / temperature, safe for any temperature > 0: the largest is exactly 0."""
    largest = np.float32(require_choice(logits))
    with np.errstate(over="ignore"):  # a tiny temperature sends the others to -inf, which is right
        return (logits - largest) / np.float32(max(temperature, _COLDEST))


def keep_top_k(candidates: Candidates, k: int) -> Candidates:
    """The k likeliest; among equals at the edge the lowest ids."""
    logits = candidates.logits
    if k == 0 or k >= len(logits):
        return candidates
    edge = np.partition(logits, len(logits) - k)[len(logits) - k]
    above, equal = np.flatnonzero(logits > edge), np.flatnonzero(logits == edge)
    return _select(candidates, np.sort(np.concatenate((above, equal[: k - len(above)]))))


def keep_top_p(candidates: Candidates, p: float) -> Candidates:
    """The fewest likeliest whose share of the total reaches p; never none; among equals the lowest ids first."""
    logits = candidates.logits
    if p >= 1.0:
        return candidates
    weights = np.exp(logits)
    total = float(weights.sum(dtype=np.float64))
    # Tokens lighter than this weigh less than 1 - p together, so none of them is needed to reach p.
    possible = np.flatnonzero(weights >= np.float32((1.0 - p) * total / len(weights)))
    kept = possible[_heaviest(logits[possible], weights[possible], p * total)]
    return _select(candidates, np.sort(kept))


def _heaviest(logits: Float32Array, weights: Float32Array, target: float) -> Ids:
    """Indices of the fewest heaviest whose weights reach target: a histogram finds the edge, only its bin is sorted."""
    bins = np.minimum(-logits * np.float32(_BINS_PER_NAT), np.float32(_BINS - 1)).astype(np.int32)
    reached = np.cumsum(np.bincount(bins, weights=weights))
    edge = min(int(np.searchsorted(reached, target)), len(reached) - 1)
    at_edge = np.flatnonzero(bins == edge)
    at_edge = at_edge[np.argsort(-logits[at_edge], kind="stable")]
    inside = np.cumsum(weights[at_edge], dtype=np.float64) + (reached[edge - 1] if edge else 0.0)
    count = int(np.searchsorted(inside, target)) + 1
    return np.concatenate((np.flatnonzero(bins < edge), at_edge[:count]))


def keep_min_p(candidates: Candidates, min_p: float) -> Candidates:
    """Those at least min_p times as likely as the likeliest."""
    if min_p <= 0.0:
        return candidates
    kept = np.flatnonzero(candidates.logits >= np.log(min_p))  # the largest is 0
    return candidates if len(kept) == len(candidates.logits) else _select(candidates, kept)


def draw(candidates: Candidates, uniform: float) -> int:
    """The id at uniform (in [0, 1)) of the cumulative distribution, in order of ids."""
    weights = np.exp(candidates.logits)
    blocks = np.cumsum(np.add.reduceat(weights, np.arange(0, len(weights), _BLOCK)), dtype=np.float64)
    target = uniform * blocks[-1]
    block = _first_above(blocks, target)
    start = block * _BLOCK
    inside = np.cumsum(weights[start : start + _BLOCK], dtype=np.float64) + (blocks[block - 1] if block else 0.0)
    index = start + _first_above(inside, target)
    return index if candidates.ids is None else int(candidates.ids[index])


def _first_above(cumulative: Weights, target: float) -> int:
    """Index of the first sum above target; if rounding left none, the last entry with any mass."""
    index = int(np.searchsorted(cumulative, target, side="right"))
    return index if index < len(cumulative) else int(np.searchsorted(cumulative, cumulative[-1]))


def log_partition(logits: Float32Array) -> float:
    """log(sum(exp(logits))); subtract it from a logit to get a log-probability."""
    largest = require_choice(logits)
    return largest + float(np.log(np.exp(logits - np.float32(largest)).sum(dtype=np.float64)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Logprobs:
    """Log-probability of the chosen token, and (id, log-probability) of the likeliest, likeliest first."""

    chosen: float
    top: tuple[tuple[int, float], ...]


def logprobs(logits: Float32Array, token: int, num_top: int) -> Logprobs:
    """Under softmax(logits); pass the model's own logits, not adjusted ones. Equals are ordered by id."""
    normalizer = log_partition(logits)
    likeliest = _largest(logits, min(num_top, len(logits))).tolist() if num_top else []
    top = tuple((index, float(logits[index]) - normalizer) for index in likeliest)
    return Logprobs(chosen=float(logits[token]) - normalizer, top=top)


def _select(candidates: Candidates, kept: Ids) -> Candidates:
    ids = kept if candidates.ids is None else candidates.ids[kept]
    return Candidates(ids=ids, logits=candidates.logits[kept])


def _largest(logits: Float32Array, count: int) -> Ids:
    """Indices of the count largest, largest first, equals by index (also at the edge)."""
    if count < len(logits):
        edge = np.partition(logits, len(logits) - count)[len(logits) - count]
        above, equal = np.flatnonzero(logits > edge), np.flatnonzero(logits == edge)
        above = np.sort(np.concatenate((above, equal[: count - len(above)])))
    else:
        above = np.arange(len(logits))
    order: Ids = above[np.argsort(-logits[above], kind="stable")]
    return order


class Sampler:
    """Chooses the tokens of one completion: the parameters, its own random stream, and what was chosen so far."""

    def __init__(self, params: SamplingParams, vocab_size: int, prompt: Iterable[int] = ()) -> None:
        """prompt: the ids that repetition_penalty counts from the start, all inside the vocabulary.

        Raises     InputError for an id in logit_bias or stop_token_ids outside the vocabulary
        """
        for name, tokens in (("logit_bias", params.logit_bias), ("stop_token_ids", params.stop_token_ids)):
            outside = [token for token in tokens if token >= vocab_size]
            if outside:
                raise InputError(f"[sampling] {name}: id {outside[0]} is outside the vocabulary of {vocab_size}")
        self._params = params
        self._random = np.random.Generator(np.random.PCG64(params.seed))
        self._seen = np.zeros(vocab_size, dtype=np.bool_)
        self._seen[np.fromiter(prompt, dtype=np.int64)] = True
        self._counts = np.zeros(vocab_size, dtype=np.int64)

    def choose(
        self,
        logits: Float32Array,
        allowed: NDArray[np.bool_] | None = None,
        bias: Mapping[int, float] = MappingProxyType({}),
    ) -> int:
        """The next id; it then counts as chosen.

        Shapes     logits (V,), not modified; allowed (V,), False forbids an id
        Mutates    self: counts, and one step of the random stream (none at temperature 0)
        Raises     InputError if no token can be chosen
        """
        token = self._pick(self._adjusted(logits, allowed, bias))
        self.note(token)
        return token

    def note(self, token: int) -> None:
        """Count token as chosen, by whatever forced it. Mutates self."""
        self._seen[token] = True
        self._counts[token] += 1

    def _adjusted(
        self, logits: Float32Array, allowed: NDArray[np.bool_] | None, bias: Mapping[int, float]
    ) -> Float32Array:
        params = self._params
        adjusted = logits.copy()
        if params.repetition_penalty != 1.0:
            penalize_repetition(adjusted, np.flatnonzero(self._seen), params.repetition_penalty)
        if params.presence_penalty or params.frequency_penalty:
            chosen = np.flatnonzero(self._counts)
            penalize_counts(adjusted, chosen, self._counts[chosen], params.presence_penalty, params.frequency_penalty)
        add_bias(adjusted, params.logit_bias)
        add_bias(adjusted, bias)
        if allowed is not None:
            adjusted[~allowed] = -np.inf
        return adjusted

    def _pick(self, logits: Float32Array) -> int:
        params = self._params
        if params.temperature == 0.0:
            require_choice(logits)
            return int(logits.argmax())
        candidates = Candidates(ids=None, logits=scale(logits, params.temperature))
        candidates = keep_top_k(candidates, params.top_k)
        candidates = keep_top_p(candidates, params.top_p)
        candidates = keep_min_p(candidates, params.min_p)
        return draw(candidates, float(self._random.random()))
