"""A batch as tensors, where the model is. Start at placed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mambino.model.hybrid import HybridLM
from mambino.train.data import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """The arrays of a Batch, (B, T) each."""

    tokens: Tensor
    targets: Tensor
    resets: Tensor


def placed(batch: Batch, model: HybridLM) -> Placed:
    """batch on the model's device; shares memory with it on the CPU."""
    device = model.device
    return Placed(
        tokens=torch.from_numpy(batch.tokens_BT).to(device),
        targets=torch.from_numpy(batch.targets_BT).to(device),
        resets=torch.from_numpy(batch.resets_BT).to(device),
    )
