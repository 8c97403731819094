"""The loss counts exactly the targets that count."""

import pytest
import torch

from mambino.train.data import IGNORED
from mambino.train.loss import next_token_loss, token_losses

pytestmark = pytest.mark.torch

ROUNDING = 1e-6  # float32 sums of a few terms of order one


def test_the_mean_is_over_counted_targets_only() -> None:
    logits = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[1, IGNORED, 4], [IGNORED, IGNORED, 0]])
    log_probabilities = logits.log_softmax(-1)
    expected = -(log_probabilities[0, 0, 1] + log_probabilities[0, 2, 4] + log_probabilities[1, 2, 0]) / 3
    assert float(next_token_loss(logits, targets)) == pytest.approx(float(expected), abs=ROUNDING)
    assert token_losses(logits, targets)[targets == IGNORED].abs().sum() == 0


def test_nothing_to_learn_gives_zero_and_not_nan() -> None:
    logits = torch.randn(1, 2, 3, requires_grad=True)
    loss = next_token_loss(logits, torch.full((1, 2), IGNORED), z_weight=1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) == 0.0


def test_z_loss_pulls_the_normaliser_and_leaves_ignored_places_alone() -> None:
    logits = torch.full((1, 2, 4), 3.0)
    plain = next_token_loss(logits, torch.tensor([[2, IGNORED]]))
    pulled = next_token_loss(logits, torch.tensor([[2, IGNORED]]), z_weight=0.5)
    log_z = 3.0 + float(torch.log(torch.tensor(4.0)))
    assert float(pulled - plain) == pytest.approx(0.5 * log_z**2, rel=ROUNDING)
