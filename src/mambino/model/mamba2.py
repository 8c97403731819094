"""The Mamba-2 mixer: in_proj, causal conv, recurrence, gated norm, out_proj.

Everything between the two projections is computed in the working dtype. Start at Mamba2.forward; the maths of the
recurrence is in ssd.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mambino.config import MambaSpec
from mambino.model.conv import CausalConv
from mambino.model.norm import GatedGroupNorm
from mambino.model.precision import working_dtype
from mambino.model.span import Span
from mambino.model.ssd import SsdOutput, ssd_chunked, ssd_step
from mambino.model.state import MambaSlot

# Letters: B batch, T tokens, D model width, C conv channels, W conv kernel, H heads, P head size, G groups, N state.

_CHUNK_SIZE = 64  # fastest of 32, 64, 128 for training on two CPU cores; the result does not depend on it
_DT_MIN, _DT_MAX, _DT_FLOOR = 1e-3, 1e-1, 1e-4  # time steps at initialisation, published values of the family


class Mamba2(nn.Module):
    """u = norm(ssd(conv(x | B | C)), z); out = out_proj(u), with z | x | B | C | dt from one in_proj."""

    def __init__(
        self, hidden_size: int, spec: MambaSpec, norm_eps: float, *, device: torch.device | None, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.spec = spec
        self.in_proj = nn.Linear(hidden_size, spec.in_proj_size, bias=False, device=device, dtype=dtype)
        self.conv1d = CausalConv(spec.conv_size, spec.conv_kernel, device=device, dtype=dtype)
        for name in ("A_log", "D", "dt_bias"):
            per_head = torch.empty(spec.num_heads, device=device, dtype=working_dtype(dtype))
            self.register_parameter(name, nn.Parameter(per_head))
        self.norm = GatedGroupNorm(spec.inner_size, spec.num_groups, norm_eps, device=device, dtype=dtype)
        self.out_proj = nn.Linear(spec.inner_size, hidden_size, bias=False, device=device, dtype=dtype)

    A_log: nn.Parameter
    D: nn.Parameter
    dt_bias: nn.Parameter

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None) -> None:
        """Conv, A_log = log(1..H), D = 1, and dt_bias such that softplus(dt_bias) is log-uniform in [0.001, 0.1]."""
        self.conv1d.reset_parameters(generator)
        heads = torch.arange(1, self.spec.num_heads + 1, device=self.A_log.device, dtype=self.A_log.dtype)
        self.A_log.copy_(heads.log())
        self.D.fill_(1.0)
        log_dt = torch.empty_like(self.dt_bias).uniform_(math.log(_DT_MIN), math.log(_DT_MAX), generator=generator)
        dt = log_dt.exp().clamp(min=_DT_FLOOR)
        self.dt_bias.copy_(dt + torch.log(-torch.expm1(-dt)))

    def forward(self, x_BTD: Tensor, span: Span, slots: Sequence[MambaSlot] = ()) -> Tensor:
        """Mix over time; with slots, go on from them and stage what they become.

        Shapes     x (B, T, D), B slots or none -> (B, T, D)
        """
        spec = self.spec
        projected: Tensor = self.in_proj(x_BTD)
        z, xBC, dt = torch.split(projected, [spec.inner_size, spec.conv_size, spec.num_heads], dim=-1)
        dt_BTH = self._time_steps(dt, span)
        history = torch.stack([slot.conv_WC for slot in slots]) if slots else None
        convolved = functional.silu(self.conv1d(xBC, history, span.crossings))
        out = self._recur(convolved, dt_BTH, span, slots)
        if slots:
            self._stage(slots, self.conv1d.with_history(xBC, history), out.state_BHPN, span)
        mixed = self.norm(out.y.flatten(-2), z)
        y_BTD: Tensor = self.out_proj(mixed.to(x_BTD.dtype))
        return y_BTD

    def _time_steps(self, dt: Tensor, span: Span) -> Tensor:
        """softplus(dt + bias), clamped only if the spec says so; 0 on padding, which leaves the state as it is."""
        dt_BTH = functional.softplus(dt.to(self.dt_bias.dtype) + self.dt_bias)
        if self.spec.time_step_limit != (0.0, math.inf):
            dt_BTH = dt_BTH.clamp(*self.spec.time_step_limit)
        if span.is_ragged:
            lengths = torch.tensor(span.lengths, device=dt.device)
            padding_BT = torch.arange(dt.shape[1], device=dt.device) >= lengths[:, None]
            dt_BTH = dt_BTH.masked_fill(padding_BT[..., None], 0.0)
        return dt_BTH

    def _recur(self, xBC: Tensor, dt_BTH: Tensor, span: Span, slots: Sequence[MambaSlot]) -> SsdOutput:
        spec = self.spec
        x, B, C = torch.split(xBC, [spec.inner_size, *2 * [spec.num_groups * spec.state_size]], dim=-1)
        x_BTHP = torch.unflatten(x, -1, (spec.num_heads, spec.head_dim))
        B_BTGN = torch.unflatten(B, -1, (spec.num_groups, spec.state_size))
        C_BTGN = torch.unflatten(C, -1, (spec.num_groups, spec.state_size))
        A_H = -torch.exp(self.A_log)
        state = torch.stack([slot.ssm_HPN for slot in slots]) if slots else None
        if state is not None and x_BTHP.shape[1] == 1:
            step = ssd_step(x_BTHP[:, 0], dt_BTH[:, 0], A_H, B_BTGN[:, 0], C_BTGN[:, 0], self.D, state)
            return SsdOutput(y=step.y[:, None], state_BHPN=step.state_BHPN)
        return ssd_chunked(
            x_BTHP, dt_BTH, A_H, B_BTGN, C_BTGN, self.D,
            state_BHPN=state, resets_BT=span.resets_BT, chunk_size=_CHUNK_SIZE,
        )  # fmt: skip

    def _stage(self, slots: Sequence[MambaSlot], samples_BTC: Tensor, state_BHPN: Tensor, span: Span) -> None:
        width = self.spec.conv_kernel - 1
        for row, (slot, length) in enumerate(zip(slots, span.lengths, strict=True)):
            slot.stage(samples_BTC[row, length : length + width], state_BHPN[row])
