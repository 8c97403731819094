"""Fidelity against values worked out by hand and by the definition."""

import numpy as np
import pytest

from mambino.errors import InputError
from mambino.evals.fidelity import compare_logits


def test_equal_logits_differ_in_nothing(rng: np.random.Generator) -> None:
    logits = rng.standard_normal((70, 9)).astype(np.float32)
    result = compare_logits(logits, logits, rng.integers(0, 9, 70).astype(np.int32))
    assert (result.kl, result.agreement, result.perplexity_change) == (0.0, 1.0, 0.0)
    assert result.correlation == pytest.approx(1.0)


def test_kl_and_perplexity_follow_their_definitions() -> None:
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.25, 0.5, 0.25])
    reference = np.log(np.stack([p, p])).astype(np.float32)
    candidate = np.log(np.stack([q, q])).astype(np.float32) + 3.0  # a constant changes nothing
    result = compare_logits(reference, candidate, np.array([2, 0], np.int32))
    assert result.kl == pytest.approx(0.25 * np.log(2), rel=1e-5)
    assert result.agreement == 0.0
    assert result.perplexity_change == pytest.approx(1.0, rel=1e-5)  # token 0 became half as likely


def test_more_rows_than_one_piece_count_alike(rng: np.random.Generator) -> None:
    reference, candidate = (rng.standard_normal((150, 11)).astype(np.float32) for _ in range(2))
    tokens = rng.integers(0, 11, 150).astype(np.int32)
    parts = [compare_logits(reference[i : i + 2], candidate[i : i + 2], tokens[i : i + 2]).kl for i in range(0, 150, 2)]
    assert compare_logits(reference, candidate, tokens).kl == pytest.approx(np.mean(parts))


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match="fidelity"):
        compare_logits(np.zeros((3, 4), np.float32), np.zeros((3, 5), np.float32), np.zeros(3, np.int32))
