"""Losses over token logits, masked by their targets. Pure functions; start at next_token_loss."""

from torch import Tensor
from torch.nn import functional

from mambino.train.data import IGNORED


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Negative log-likelihood of every target in nats, 0 where IGNORED: shaped like targets, float32 or better."""
    losses = functional.cross_entropy(
        logits.flatten(0, -2).float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return losses.reshape(targets.shape)


def next_token_loss(logits: Tensor, targets: Tensor, *, z_weight: float = 0.0) -> Tensor:
    """Mean over the targets that count, plus z_weight * log(Z)^2, which keeps logits from drifting.

    Shapes     logits (..., V), targets (...) -> ()
    """
    counted = targets != IGNORED
    num_targets = counted.sum().clamp_min(1)
    loss = token_losses(logits, targets).sum() / num_targets
    if z_weight:
        log_z = logits.float().logsumexp(dim=-1).masked_fill(~counted, 0.0)
        loss = loss + z_weight * log_z.square().sum() / num_targets
    return loss
