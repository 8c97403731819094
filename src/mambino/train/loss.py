"""Losses over token logits, masked by their targets. Pure functions; start at next_token_loss."""

from torch import Tensor
from torch.nn import functional

from mambino.train.data import IGNORED


def token_losses(logits_BTV: Tensor, targets_BT: Tensor) -> Tensor:
    """Negative log-likelihood of every target in nats, 0 where IGNORED: (B, T), float32 or better."""
    losses = functional.cross_entropy(
        logits_BTV.flatten(0, -2).float(), targets_BT.flatten(), ignore_index=IGNORED, reduction="none"
    )
    return losses.reshape(targets_BT.shape)


def next_token_loss(logits_BTV: Tensor, targets_BT: Tensor, *, z_weight: float = 0.0) -> Tensor:
    """Mean over the targets that count, plus z_weight * log(Z)^2, which keeps logits from drifting.

    Shapes     logits (B, T, V), targets (B, T) -> ()
    """
    counted = targets_BT != IGNORED
    num_targets = counted.sum().clamp_min(1)
    loss = token_losses(logits_BTV, targets_BT).sum() / num_targets
    if z_weight:
        log_z = logits_BTV.float().logsumexp(dim=-1).masked_fill(~counted, 0.0)
        loss = loss + z_weight * log_z.square().sum() / num_targets
    return loss
