"""Intervals and paired differences, against what theory says."""

import numpy as np

from mambino.evals.statistics import compare, summarize
from mambino.evals.task import Share

# The bootstrap draws: its interval of a mean of 400 coin flips lies within this of the normal one.
BOOTSTRAP_TOLERANCE = 0.01


def test_the_interval_of_a_mean_is_the_normal_one(rng: np.random.Generator) -> None:
    flips = rng.random(400) < 0.3
    summary = summarize([Share(part=float(flip)) for flip in flips])
    assert summary is not None
    half = 1.96 * flips.std() / np.sqrt(len(flips))
    assert abs(summary.low - (flips.mean() - half)) < BOOTSTRAP_TOLERANCE
    assert abs(summary.high - (flips.mean() + half)) < BOOTSTRAP_TOLERANCE


def test_a_metric_is_the_ratio_of_the_sums() -> None:
    summary = summarize([Share(part=1, whole=1), Share(part=0, whole=3)])
    assert summary is not None
    assert summary.value == 0.25


def test_three_of_three_is_not_certain() -> None:
    """Clopper and Pearson's exact interval of 3 of 3 is 0.29 to 1."""
    all_right, none_right = (summarize([Share(part=part)] * 3) for part in (1.0, 0.0))
    assert all_right is not None
    assert none_right is not None
    assert (round(all_right.low, 2), all_right.high) == (0.29, 1.0)
    assert (none_right.low, round(none_right.high, 2)) == (0.0, 0.71)


def test_nothing_to_divide_by_is_no_value() -> None:
    assert summarize([]) is None
    assert summarize([Share(part=0, whole=0)]) is None


def test_pairing_sees_a_difference_that_the_two_intervals_hide(rng: np.random.Generator) -> None:
    """B is right wherever A is, and on 10 samples more of 200."""
    right = rng.permutation(200) < 100
    a = {str(i): Share(part=float(r)) for i, r in enumerate(right)}
    wrong = [name for name, share in a.items() if share.part == 0][:10]
    b = {name: Share(part=1.0) if name in wrong else share for name, share in a.items()}
    found = compare(a, b)
    assert found is not None
    assert abs(found.value - 0.05) < 1e-9
    assert found.low > 0
    assert found.p < 0.05


def test_equal_runs_do_not_differ() -> None:
    a = {str(i): Share(part=float(i % 2)) for i in range(20)}
    found = compare(a, a)
    assert found is not None
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_only_samples_of_both_are_compared() -> None:
    found = compare({"a": Share(part=1), "b": Share(part=0)}, {"b": Share(part=0), "c": Share(part=1)})
    assert found is not None
    assert (found.samples, found.value) == (1, 0)
    assert compare({"a": Share(part=1)}, {"b": Share(part=1)}) is None
