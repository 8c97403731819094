import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mambino.errors import InputError
from mambino.generation.params import SamplingParams
from mambino.generation.sampling import (
    Candidates,
    Sampler,
    add_bias,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    logprobs,
    penalize_counts,
    penalize_repetition,
    scale,
)
from mambino.lm import Float32Array

LOGPROB_TOLERANCE = 2e-6  # float32 exponentials, float64 sum
EDGE_SLACK = 1e-5  # float32 exponentials decide whether the last token of top_p is needed

VOCABULARIES = st.integers(1, 700)
SEEDS = st.integers(0, 2**32 - 1)


def noise(size: int, seed: int, *, grain: float | None = None) -> Float32Array:
    """Logits; with a grain many of them are equal."""
    logits = np.random.default_rng(seed).normal(0.0, 3.0, size)
    return (logits if grain is None else np.round(logits / grain) * grain).astype(np.float32)


def likeliest(logits: Float32Array) -> list[int]:
    return sorted(range(len(logits)), key=lambda token: (-logits[token], token))


def kept(candidates: Candidates) -> list[int]:
    return list(range(len(candidates.logits))) if candidates.ids is None else candidates.ids.tolist()


def whole(logits: Float32Array) -> Candidates:
    return Candidates(ids=None, logits=scale(logits, 1.0))


@given(VOCABULARIES, SEEDS, st.integers(0, 800), st.sampled_from([None, 2.0]))
@settings(max_examples=150, deadline=None)
def test_top_k_keeps_the_k_likeliest_lowest_ids_first(size: int, seed: int, k: int, grain: float | None) -> None:
    logits = noise(size, seed, grain=grain)
    expected = sorted(likeliest(logits)[: k or None])
    assert kept(keep_top_k(whole(logits), k)) == expected


@given(VOCABULARIES, SEEDS, st.floats(0.001, 1.0), st.sampled_from([None, 2.0]))
@settings(max_examples=200, deadline=None)
def test_top_p_keeps_the_fewest_likeliest_that_reach_p(size: int, seed: int, p: float, grain: float | None) -> None:
    logits = noise(size, seed, grain=grain)
    chosen = kept(keep_top_p(whole(logits), p))
    order = likeliest(logits)
    probabilities = np.exp(logits.astype(np.float64) - logits.max())
    probabilities /= probabilities.sum()
    assert chosen == sorted(order[: len(chosen)])
    assert probabilities[chosen].sum() >= p - EDGE_SLACK
    if p < 1.0:
        assert probabilities[order[: len(chosen) - 1]].sum() < p + EDGE_SLACK


@given(VOCABULARIES, SEEDS, st.floats(0.0, 1.0))
@settings(max_examples=100, deadline=None)
def test_min_p_keeps_what_is_likely_enough(size: int, seed: int, min_p: float) -> None:
    logits = noise(size, seed)
    ratios = np.exp(logits.astype(np.float64) - logits.max())
    chosen = set(kept(keep_min_p(whole(logits), min_p)))
    assert {token for token in range(size) if ratios[token] >= min_p + EDGE_SLACK} <= chosen
    assert chosen <= {token for token in range(size) if ratios[token] >= min_p - EDGE_SLACK}
    assert int(logits.argmax()) in chosen


def test_filters_apply_one_after_the_other() -> None:
    """top_p counts shares of what top_k left: 0.4 / 0.7 reaches a half, 0.4 alone would not."""
    logits = np.log(np.array([0.4, 0.3, 0.2, 0.1], dtype=np.float32))
    assert kept(keep_top_p(keep_top_k(whole(logits), 2), 0.5)) == [0]
    assert kept(keep_top_p(whole(logits), 0.5)) == [0, 1]


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 1000])
def test_draws_follow_the_distribution(size: int) -> None:
    candidates = whole(noise(size, 5))
    weights = np.exp(candidates.logits, dtype=np.float64)
    edges = np.cumsum(weights) / weights.sum()
    for uniform in np.random.default_rng(1).random(300):
        assert draw(candidates, float(uniform)) == int(np.searchsorted(edges, uniform, side="right"))


def test_the_ends_of_the_unit_interval_draw_possible_tokens() -> None:
    logits = np.full(600, -np.inf, dtype=np.float32)
    logits[[3, 300]] = 0.0
    candidates = Candidates(ids=None, logits=logits)
    assert draw(candidates, 0.0) == 3
    assert draw(candidates, math.nextafter(1.0, 0.0)) == 300
    assert draw(candidates, 1.0) == 300


def test_frequencies_of_draws_pass_a_chi_square_test() -> None:
    probabilities = np.array([0.5, 0.25, 0.15, 0.07, 0.03])
    sampler = Sampler(SamplingParams(seed=11), 5)
    logits = np.log(probabilities).astype(np.float32)
    draws = 5_000
    counts = np.bincount([sampler.choose(logits) for _ in range(draws)], minlength=5)
    chi_square = float(((counts - draws * probabilities) ** 2 / (draws * probabilities)).sum())
    assert chi_square < 18.5  # 99.9 % point at four degrees of freedom


@pytest.mark.parametrize("temperature", [1e-300, 1e-30, 1e-5])
def test_a_tiny_temperature_is_greedy(temperature: float) -> None:
    sampler = Sampler(SamplingParams(temperature=temperature, seed=0), 500)
    logits = noise(500, 3)
    assert {sampler.choose(logits) for _ in range(20)} == {int(logits.argmax())}


@pytest.mark.parametrize("temperature", [0.3, 1.0, 7.0])
def test_temperature_divides_the_logits(temperature: float) -> None:
    logits = noise(50, 4)
    expected = (logits.astype(np.float64) - logits.max()) / temperature
    np.testing.assert_allclose(scale(logits, temperature), expected, rtol=1e-6, atol=1e-6)


def test_huge_logits_do_not_overflow() -> None:
    logits = np.array([3e38, 2.9e38, -3e38], dtype=np.float32)
    assert Sampler(SamplingParams(seed=0, top_p=0.9), 3).choose(logits) == 0


def test_greedy_takes_the_lowest_id_of_equals() -> None:
    assert Sampler(SamplingParams(temperature=0), 4).choose(np.array([1, 2, 2, 0], dtype=np.float32)) == 1


def test_repetition_penalty_pushes_both_signs_down() -> None:
    logits = np.array([2.0, -2.0, 0.0, 5.0], dtype=np.float32)
    penalize_repetition(logits, np.array([0, 1, 2]), 2.0)
    assert logits.tolist() == [1.0, -4.0, 0.0, 5.0]


def test_presence_counts_once_and_frequency_every_time() -> None:
    logits = np.zeros(4, dtype=np.float32)
    penalize_counts(logits, np.array([1, 3]), np.array([1, 4]), 0.5, 0.25)
    assert logits.tolist() == [0.0, -0.75, 0.0, -1.5]


def test_bias_is_added_and_forbids() -> None:
    logits = np.zeros(3, dtype=np.float32)
    add_bias(logits, {0: -math.inf, 2: 1.5})
    assert logits.tolist() == [-math.inf, 0.0, 1.5]


def test_repetition_counts_the_prompt_but_presence_and_frequency_only_the_completion() -> None:
    logits = np.array([1.0, 0.9, 0.05], dtype=np.float32)
    assert Sampler(SamplingParams(temperature=0, repetition_penalty=2.0), 3, prompt=[0]).choose(logits) == 1
    sampler = Sampler(SamplingParams(temperature=0, presence_penalty=0.5), 3, prompt=[0])
    assert [sampler.choose(logits) for _ in range(3)] == [0, 1, 0]
    sampler = Sampler(SamplingParams(temperature=0, frequency_penalty=0.5), 3, prompt=[0])
    assert [sampler.choose(logits) for _ in range(5)] == [0, 1, 0, 1, 2]


def test_choosing_does_not_change_the_logits() -> None:
    params = SamplingParams(seed=1, repetition_penalty=1.3, presence_penalty=1.0, logit_bias={2: 5.0}, top_k=5)
    logits = noise(40, 2)
    before = logits.copy()
    sampler = Sampler(params, 40, prompt=range(20))
    for _ in range(5):
        sampler.choose(logits, allowed=np.arange(40) > 3)
    assert np.array_equal(logits, before)


def test_a_mask_forbids_in_every_mode() -> None:
    allowed = np.zeros(50, dtype=np.bool_)
    allowed[[7, 9]] = True
    for params in (SamplingParams(temperature=0), SamplingParams(seed=3), SamplingParams(seed=3, top_p=0.9, top_k=9)):
        sampler = Sampler(params, 50)
        assert {sampler.choose(noise(50, seed), allowed) for seed in range(30)} <= {7, 9}


def test_the_same_seed_repeats_and_requests_do_not_share_a_stream() -> None:
    first, second, other = (Sampler(SamplingParams(seed=seed), 300) for seed in (5, 5, 6))
    logits = [noise(300, index) for index in range(50)]
    sequence = [first.choose(row) for row in logits]
    assert [(second.choose(row), other.choose(row))[0] for row in logits] == sequence
    assert [Sampler(SamplingParams(seed=6), 300).choose(row) for row in logits] != sequence


def test_without_a_seed_two_requests_differ() -> None:
    logits = np.zeros(10_000, dtype=np.float32)
    first, second = Sampler(SamplingParams(), 10_000), Sampler(SamplingParams(), 10_000)
    assert [first.choose(logits) for _ in range(4)] != [second.choose(logits) for _ in range(4)]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    ("logits", "reason"),
    [([math.nan, 1.0], "not finite"), ([math.inf, 1.0], "not finite"), ([-math.inf, -math.inf], "forbidden")],
)
def test_logits_without_a_choice_are_an_error(temperature: float, logits: list[float], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Sampler(SamplingParams(temperature=temperature), 2).choose(np.array(logits, dtype=np.float32))


@pytest.mark.parametrize("params", [SamplingParams(logit_bias={10: 1.0}), SamplingParams(stop_token_ids=(10,))])
def test_ids_outside_the_vocabulary_are_refused(params: SamplingParams) -> None:
    with pytest.raises(InputError, match="id 10 is outside the vocabulary of 10"):
        Sampler(params, 10)


@given(VOCABULARIES, SEEDS, st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_logprobs_are_the_log_softmax(size: int, seed: int, count: int) -> None:
    logits = noise(size, seed)
    exact = logits.astype(np.float64) - np.log(np.exp(logits.astype(np.float64)).sum())
    token = seed % size
    result = logprobs(logits, token, count)
    assert abs(result.chosen - exact[token]) < LOGPROB_TOLERANCE
    assert [index for index, _ in result.top] == likeliest(logits)[:count]
    np.testing.assert_allclose(
        [value for _, value in result.top], exact[likeliest(logits)[:count]], atol=LOGPROB_TOLERANCE
    )


def test_a_large_vocabulary_is_handled_like_a_small_one() -> None:
    logits = noise(131_072, 9)
    logits[[5, 70_000, 131_071]] = (25.0, 24.0, 23.0)
    expected = sorted([5, 70_000, 131_071])
    assert kept(keep_top_k(whole(logits), 3)) == expected
    assert kept(keep_top_p(whole(logits), 0.97)) == expected
    assert kept(keep_min_p(whole(logits), 0.1)) == expected
