"""The Mamba-2 recurrence in three forms that agree: one step, a scan of steps, and chunks of matrix products.

Pure functions of tensors; knows nothing of modules or state slots. Start at ssd_step, which is the definition; the
inside of the chunked form is in ssd_chunks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mambino.model.ssd_chunks import DocumentMarks, chunked

# Letters: B batch, T tokens, H heads, P head size, G groups of B and C, R heads a group (H = G*R), N state size.
# Head h reads group h // R. dt is after softplus and clamp; A = -exp(A_log) is negative.


@dataclass(frozen=True, slots=True, kw_only=True)
class SsdOutput:
    """y: what the recurrence emits, shaped like x. state_BHPN: the state after the last token."""

    y: Tensor
    state_BHPN: Tensor


def ssd_step(
    x_BHP: Tensor, dt_BH: Tensor, A_H: Tensor, B_BGN: Tensor, C_BGN: Tensor, D_H: Tensor, state_BHPN: Tensor
) -> SsdOutput:
    """Advance the recurrence by one token.

    state <- exp(dt*A) * state + (dt*x) outer B        y = state . C + D*x

    Source     Dao & Gu 2024, arXiv:2405.21060, eq. 1 with scalar A a head
    Pinned by  tests/model/test_ssd.py::test_step_scan_and_chunked_agree
    """
    heads_per_group = x_BHP.shape[1] // B_BGN.shape[1]
    B_BHN = B_BGN.repeat_interleave(heads_per_group, dim=1)
    C_BHN = C_BGN.repeat_interleave(heads_per_group, dim=1)
    decay_BH = torch.exp(dt_BH * A_H)
    input_BHPN = (dt_BH[..., None] * x_BHP)[..., None] * B_BHN[:, :, None, :]
    state_BHPN = decay_BH[..., None, None] * state_BHPN + input_BHPN
    y_BHP = (state_BHPN @ C_BHN[..., None]).squeeze(-1) + D_H[:, None] * x_BHP
    return SsdOutput(y=y_BHP, state_BHPN=state_BHPN)


def ssd_scan(
    x_BTHP: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    B_BTGN: Tensor,
    C_BTGN: Tensor,
    D_H: Tensor,
    *,
    state_BHPN: Tensor | None = None,
    resets_BT: Tensor | None = None,
) -> SsdOutput:
    """Advance the recurrence token by token: slow, obvious, the judge of ssd_chunked.

    Where resets_BT is true a new document begins: the state is emptied before that token.
    """
    state = _empty_state(x_BTHP, B_BTGN) if state_BHPN is None else state_BHPN
    steps = []
    for t in range(x_BTHP.shape[1]):
        if resets_BT is not None:
            state = state.masked_fill(resets_BT[:, t, None, None, None], 0.0)
        step = ssd_step(x_BTHP[:, t], dt_BTH[:, t], A_H, B_BTGN[:, t], C_BTGN[:, t], D_H, state)
        state = step.state_BHPN
        steps.append(step.y)
    return SsdOutput(y=torch.stack(steps, dim=1), state_BHPN=state)


def ssd_chunked(
    x_BTHP: Tensor,
    dt_BTH: Tensor,
    A_H: Tensor,
    B_BTGN: Tensor,
    C_BTGN: Tensor,
    D_H: Tensor,
    *,
    state_BHPN: Tensor | None = None,
    resets_BT: Tensor | None = None,
    chunk_size: int = 64,
) -> SsdOutput:
    """Advance the recurrence by chunks: matrix products inside a chunk, one state update a chunk.

    s_i = sum_{k<=i} dt_k A      y_i = sum_{j<=i} exp(s_i - s_j) (C_i . B_j) dt_j x_j + exp(s_i) C_i . state + D x_i
    Any chunk_size >= 1 gives the same result up to rounding; T need not be a multiple of it.

    Source     Dao & Gu 2024, arXiv:2405.21060, section 6
    Pinned by  tests/model/test_ssd.py::test_step_scan_and_chunked_agree
    """
    chunk_size = min(chunk_size, x_BTHP.shape[1])
    marks = None if resets_BT is None else DocumentMarks.of(resets_BT, chunk_size)
    state = _empty_state(x_BTHP, B_BTGN) if state_BHPN is None else state_BHPN
    y_BTHP, state = chunked(x_BTHP, dt_BTH, A_H, B_BTGN, C_BTGN, D_H, state, marks, chunk_size)
    return SsdOutput(y=y_BTHP, state_BHPN=state)


def _empty_state(x_BTHP: Tensor, B_BTGN: Tensor) -> Tensor:
    batch, _, num_heads, head_dim = x_BTHP.shape
    return x_BTHP.new_zeros(batch, num_heads, head_dim, B_BTGN.shape[-1])
