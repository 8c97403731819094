"""The Mamba-2 recurrence in three forms that agree: one step, a scan of steps, and chunks of matrix products.

Pure functions of tensors; knows nothing of modules or state slots. Start at ssd_step, which is the definition.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Letters: B batch, T tokens, H heads, P head size, G groups of B and C, R heads a group (H = G*R), N state size,
# L chunks, Q tokens a chunk. Head h reads group h // R. dt is after softplus and clamp; A = -exp(A_log) is negative.


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
    num_tokens, num_groups = x_BTHP.shape[1], B_BTGN.shape[2]
    chunk_size = min(chunk_size, num_tokens)
    marks = None if resets_BT is None else _DocumentMarks.of(resets_BT, chunk_size)

    # Padding has dt = 0, which leaves the state as it is.
    input_BLGQRP = _chunks(x_BTHP * dt_BTH[..., None], chunk_size, num_groups)
    B_BLGQN = _chunks(B_BTGN, chunk_size, num_groups).squeeze(-2)
    C_BLGQN = _chunks(C_BTGN, chunk_size, num_groups).squeeze(-2)
    steps_BLGQR = _chunks((dt_BTH * A_H)[..., None], chunk_size, num_groups).squeeze(-1)
    s_BLGQR = steps_BLGQR.cumsum(dim=3)

    entering_BLGRPN, final_BGRPN = _carry(input_BLGQRP, B_BLGQN, s_BLGQR, state_BHPN, marks)
    y_BLGQRP = _within_chunks(input_BLGQRP, B_BLGQN, C_BLGQN, s_BLGQR, marks)
    y_BLGQRP = y_BLGQRP + _from_entering_state(entering_BLGRPN, C_BLGQN, s_BLGQR, marks)
    y_BTHP = y_BLGQRP.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :num_tokens]
    return SsdOutput(y=y_BTHP + D_H[:, None] * x_BTHP, state_BHPN=final_BGRPN.flatten(1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentMarks:
    """Who may see what across document borders, as exact zeros and ones (no large negative logs)."""

    same_BLQQ: Tensor  # query i and key j lie in one document
    enters_BLQ: Tensor  # token i continues the document that was open when its chunk began
    leaves_BLQ: Tensor  # token j lies in the document that is open when its chunk ends
    carries_BL: Tensor  # one document spans the whole chunk

    @classmethod
    def of(cls, resets_BT: Tensor, chunk_size: int) -> "_DocumentMarks":
        padding = -resets_BT.shape[1] % chunk_size
        documents_BT = functional.pad(resets_BT, (0, padding)).cumsum(dim=1)
        documents_BLQ = torch.unflatten(documents_BT, 1, (-1, chunk_size))
        last_BL = documents_BLQ[:, :, -1]
        before_BL = functional.pad(last_BL[:, :-1], (1, 0))
        return cls(
            same_BLQQ=documents_BLQ[:, :, :, None] == documents_BLQ[:, :, None, :],
            enters_BLQ=documents_BLQ == before_BL[:, :, None],
            leaves_BLQ=documents_BLQ == last_BL[:, :, None],
            carries_BL=last_BL == before_BL,
        )


def _empty_state(x_BTHP: Tensor, B_BTGN: Tensor) -> Tensor:
    batch, _, num_heads, head_dim = x_BTHP.shape
    return x_BTHP.new_zeros(batch, num_heads, head_dim, B_BTGN.shape[-1])


def _chunks(values_BTHP: Tensor, chunk_size: int, num_groups: int) -> Tensor:
    """(B, T, H, P) -> (B, L, G, Q, R, P), the last chunk filled up with zeros."""
    padding = -values_BTHP.shape[1] % chunk_size
    padded = functional.pad(values_BTHP, (0, 0, 0, 0, 0, padding)) if padding else values_BTHP
    chunked_BLQHP = torch.unflatten(padded, 1, (-1, chunk_size))
    return torch.unflatten(chunked_BLQHP, 3, (num_groups, -1)).transpose(2, 3)


def _within_chunks(
    input_BLGQRP: Tensor, B_BLGQN: Tensor, C_BLGQN: Tensor, s_BLGQR: Tensor, marks: _DocumentMarks | None
) -> Tensor:
    """What tokens of a chunk receive from tokens of the same chunk."""
    chunk_size = s_BLGQR.shape[3]
    visible = torch.ones(chunk_size, chunk_size, dtype=torch.bool, device=s_BLGQR.device).tril()
    if marks is not None:
        visible = (visible & marks.same_BLQQ)[:, :, None, None]
    s_BLGRQ = s_BLGQR.transpose(-1, -2)
    # Masked before exp: above the diagonal the difference is positive and may overflow.
    decay_BLGRQQ = (s_BLGRQ[..., :, None] - s_BLGRQ[..., None, :]).masked_fill(~visible, -torch.inf).exp()
    scores_BLGQQ = C_BLGQN @ B_BLGQN.transpose(-1, -2)  # once a group, shared by its heads
    mixed_BLGRQP = (scores_BLGQQ[:, :, :, None] * decay_BLGRQQ) @ input_BLGQRP.transpose(3, 4)
    return mixed_BLGRQP.transpose(3, 4)


def _carry(
    input_BLGQRP: Tensor,
    B_BLGQN: Tensor,
    s_BLGQR: Tensor,
    state_BHPN: Tensor | None,
    marks: _DocumentMarks | None,
) -> tuple[Tensor, Tensor]:
    """States entering each chunk (B, L, G, R, P, N), and the state after the last one (B, G, R, P, N)."""
    num_groups, heads_per_group, head_dim = s_BLGQR.shape[2], s_BLGQR.shape[4], input_BLGQRP.shape[-1]
    tail_BLGQR = torch.exp(s_BLGQR[:, :, :, -1:] - s_BLGQR)
    carry_BLGR = torch.exp(s_BLGQR[:, :, :, -1])
    if marks is not None:
        tail_BLGQR = tail_BLGQR * marks.leaves_BLQ[:, :, None, :, None]
        carry_BLGR = carry_BLGR * marks.carries_BL[:, :, None, None]
    weighted_BLGQK = (input_BLGQRP * tail_BLGQR[..., None]).flatten(-2)
    added_BLGKN = weighted_BLGQK.transpose(-1, -2) @ B_BLGQN
    added_BLGRPN = torch.unflatten(added_BLGKN, 3, (heads_per_group, head_dim))

    if state_BHPN is None:
        state = torch.zeros_like(added_BLGRPN[:, 0])
    else:
        state = torch.unflatten(state_BHPN, 1, (num_groups, heads_per_group))
    entering = []
    for chunk in range(s_BLGQR.shape[1]):
        entering.append(state)
        state = torch.addcmul(added_BLGRPN[:, chunk], carry_BLGR[:, chunk, ..., None, None], state)
    return torch.stack(entering, dim=1), state


def _from_entering_state(
    entering_BLGRPN: Tensor, C_BLGQN: Tensor, s_BLGQR: Tensor, marks: _DocumentMarks | None
) -> Tensor:
    """What tokens of a chunk receive from the state that entered it."""
    reach_BLGQR = torch.exp(s_BLGQR)
    if marks is not None:
        reach_BLGQR = reach_BLGQR * marks.enters_BLQ[:, :, None, :, None]
    read_BLGQK = C_BLGQN @ entering_BLGRPN.flatten(3, 4).transpose(-1, -2)
    return torch.unflatten(read_BLGQK, -1, entering_BLGRPN.shape[3:5]) * reach_BLGQR[..., None]
