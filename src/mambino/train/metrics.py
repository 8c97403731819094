"""What a run reports: held-out loss, perplexity, throughput. Start at held_out_loss."""

import math
import time
from collections.abc import Iterable

import torch

from mambino.model.hybrid import HybridLM
from mambino.train.data import IGNORED, Batch
from mambino.train.loss import token_losses
from mambino.train.placed import placed


@torch.no_grad()
def held_out_loss(model: HybridLM, batches: Iterable[Batch]) -> float:
    """Mean negative log-likelihood a target, in nats."""
    total, count = 0.0, 0
    for batch in batches:
        place = placed(batch, model)
        logits, targets = model(place.tokens, resets=place.resets), place.targets
        total += float(token_losses(logits, targets).double().sum())
        count += int((targets != IGNORED).sum())
    return total / max(1, count)


def perplexity(loss: float) -> float:
    """exp(loss), infinite where it overflows."""
    return math.exp(loss) if loss < 700.0 else math.inf


class Throughput:
    """Tokens per second since the last reading, smoothed over readings."""

    def __init__(self, smoothing: float = 0.8) -> None:
        self._smoothing, self._rate = smoothing, 0.0
        self._tokens, self._since = 0, time.monotonic()

    def add(self, num_tokens: int) -> None:
        self._tokens += num_tokens

    def read(self) -> float:
        """Tokens per second. Mutates self: the next reading starts here."""
        now = time.monotonic()
        rate = self._tokens / max(1e-9, now - self._since)
        self._rate = rate if self._rate == 0.0 else self._smoothing * self._rate + (1.0 - self._smoothing) * rate
        self._tokens, self._since = 0, now
        return self._rate
