"""The causal depthwise convolution in front of the recurrence, with history and document borders.

Knows nothing of mixers. Start at CausalConv.forward; the fused gradient is in _DepthwiseConv.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mambino.model.precision import working_dtype

# Letters: B batch, T tokens, C channels, W kernel width. Kernel index W-1 multiplies the newest sample.

Crossing = tuple[Tensor, Tensor]  # row and token index of every tap of one lag that would cross a document border


class CausalConv(nn.Module):
    """out_t = sum_j weight[:, j] * x_{t-W+1+j} + bias; zeros (or the history) before the first token."""

    def __init__(self, channels: int, width: int, *, device: torch.device | None, dtype: torch.dtype) -> None:
        super().__init__()
        dtype = working_dtype(dtype)
        self.weight = nn.Parameter(torch.empty(channels, 1, width, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(channels, device=device, dtype=dtype))

    def reset_parameters(self, generator: torch.Generator | None) -> None:
        """Uniform in +-1/sqrt(W), what torch gives a depthwise convolution."""
        bound = 1.0 / math.sqrt(self.weight.shape[-1])
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)
        nn.init.uniform_(self.bias, -bound, bound, generator=generator)

    def forward(self, x_BTC: Tensor, history_BWC: Tensor | None = None, crossings: tuple[Crossing, ...] = ()) -> Tensor:
        """Shapes     x (B, T, C), history (B, W-1, C): the samples before x, oldest first -> (B, T, C)

        crossings[k-1]: where the tap of lag k must read zero (see Span.packed).
        """
        return convolve(self.with_history(x_BTC, history_BWC), self.weight, self.bias, crossings)

    def with_history(self, x_BTC: Tensor, history_BWC: Tensor | None) -> Tensor:
        """x in the working dtype behind its W-1 previous samples: (B, W-1+T, C)."""
        x_BTC = x_BTC.to(self.weight.dtype)
        if history_BWC is None:
            return functional.pad(x_BTC, (0, 0, self.weight.shape[-1] - 1, 0))
        return torch.cat([history_BWC, x_BTC], dim=1)


def convolve(padded_BTC: Tensor, weight_C1W: Tensor, bias_C: Tensor, crossings: tuple[Crossing, ...]) -> Tensor:
    """Convolve samples that already carry their W-1 predecessors: (B, W-1+T, C) -> (B, T, C)."""
    out: Tensor = _DepthwiseConv.apply(padded_BTC, weight_C1W[:, 0].t().contiguous(), bias_C, crossings)  # type: ignore[no-untyped-call]
    return out


class _DepthwiseConv(torch.autograd.Function):
    """W shifted multiply-adds with a hand-written gradient.

    Twice as fast as conv1d(groups=C) on a CPU, forward and backward. A crossing tap is skipped by keeping the few
    rows it would touch, which is exact and costs next to nothing.
    """

    @staticmethod
    def forward(
        ctx: Any, padded_BTC: Tensor, weight_WC: Tensor, bias_C: Tensor, crossings: tuple[Crossing, ...]
    ) -> Tensor:
        ctx.save_for_backward(padded_BTC, weight_WC)
        ctx.crossings = crossings
        newest = weight_WC.shape[0] - 1
        num_tokens = padded_BTC.shape[1] - newest
        out = torch.addcmul(bias_C, padded_BTC[:, newest:], weight_WC[newest])
        for lag in range(1, newest + 1):
            tap = newest - lag
            kept = out[crossings[lag - 1]] if crossings else None
            out.addcmul_(padded_BTC[:, tap : tap + num_tokens], weight_WC[tap])
            if kept is not None:
                out[crossings[lag - 1]] = kept
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        padded_BTC, weight_WC = ctx.saved_tensors
        crossings: tuple[Crossing, ...] = ctx.crossings
        (grad_BTC,) = grads
        newest, num_tokens = weight_WC.shape[0] - 1, grad_BTC.shape[1]
        grad_padded = torch.zeros_like(padded_BTC)
        grad_weight = torch.empty_like(weight_WC)
        for lag in range(newest + 1):
            tap = newest - lag
            source, target = padded_BTC[:, tap : tap + num_tokens], grad_padded[:, tap : tap + num_tokens]
            crossing = crossings[lag - 1] if crossings and lag else None
            kept = None if crossing is None else target[crossing]
            target.addcmul_(grad_BTC, weight_WC[tap])
            torch.sum(grad_BTC * source, dim=(0, 1), out=grad_weight[tap])
            if crossing is not None and kept is not None:
                target[crossing] = kept
                grad_weight[tap] -= (grad_BTC[crossing] * source[crossing]).sum(dim=0)
        return grad_padded, grad_weight, grad_BTC.sum(dim=(0, 1)), None
