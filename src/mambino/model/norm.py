"""RMS norms: the plain one before every mixer, and the gated, grouped one inside Mamba-2.

Knows nothing of layers. Statistics and weight are in the working dtype; the result returns to the input's dtype.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mambino.model.precision import working_dtype

# Letters: ... any leading dimensions, D width, G groups.


class RMSNorm(nn.Module):
    """y = weight * x / sqrt(mean(x^2) + eps) over the last dimension."""

    def __init__(self, size: int, eps: float, *, device: torch.device | None, dtype: torch.dtype) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size, device=device, dtype=working_dtype(dtype)))

    def forward(self, x: Tensor) -> Tensor:
        normed = functional.rms_norm(x.to(self.weight.dtype), self.weight.shape, self.weight, self.eps)
        return normed.to(x.dtype)


class GatedGroupNorm(nn.Module):
    """u = y * silu(z), then RMS-normalised over each of G groups of D/G, then * weight: gate first, norm after."""

    def __init__(
        self, size: int, num_groups: int, eps: float, *, device: torch.device | None, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.num_groups = num_groups
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size, device=device, dtype=working_dtype(dtype)))

    def forward(self, y: Tensor, z: Tensor) -> Tensor:
        """Shapes     y, z (..., D) -> (..., D) in the working dtype"""
        gated = y.to(self.weight.dtype) * functional.silu(z.to(self.weight.dtype))
        groups = torch.unflatten(gated, -1, (self.num_groups, -1))
        return functional.rms_norm(groups, groups.shape[-1:], None, self.eps).flatten(-2) * self.weight
