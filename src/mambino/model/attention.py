"""Grouped-query attention with a key/value cache, packed documents, and RoPE or no positions at all.

Start at Attention.forward. RoPE here pairs dimension i with i + E/2 (rotate-half), the layout of checkpoints.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mambino.config import AttentionSpec
from mambino.model.span import Span
from mambino.model.state import AttentionSlot

# Letters: B batch, T tokens, S tokens in the cache, D model width, H query heads, K kv heads, R = H/K, E head size.


class Attention(nn.Module):
    """out = o_proj(softmax(q . k / sqrt(E)) v), causal; query head h reads kv head h // R."""

    def __init__(
        self, hidden_size: int, spec: AttentionSpec, *, device: torch.device | None, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.spec = spec
        self.q_proj = nn.Linear(hidden_size, spec.query_size, bias=False, device=device, dtype=dtype)
        self.k_proj = nn.Linear(hidden_size, spec.kv_size, bias=False, device=device, dtype=dtype)
        self.v_proj = nn.Linear(hidden_size, spec.kv_size, bias=False, device=device, dtype=dtype)
        self.o_proj = nn.Linear(spec.query_size, hidden_size, bias=False, device=device, dtype=dtype)

    def forward(self, x_BTD: Tensor, span: Span, slots: Sequence[AttentionSlot] = ()) -> Tensor:
        """Attend within the span; with slots, also to what they hold, and store the new keys and values there.

        Shapes     x (B, T, D), B slots or none -> (B, T, D)
        Mutates    slots, beyond the position of their states
        """
        heads = (-1, self.spec.head_dim)
        q_BTHE = torch.unflatten(self.q_proj(x_BTD), -1, heads)
        k_BTKE = torch.unflatten(self.k_proj(x_BTD), -1, heads)
        v_BTKE = torch.unflatten(self.v_proj(x_BTD), -1, heads)
        if self.spec.rope_theta is not None:
            cosine, sine = rope_angles(span.positions_BT, self.spec.head_dim, self.spec.rope_theta)
            q_BTHE, k_BTKE = rotate_half(q_BTHE, cosine, sine), rotate_half(k_BTKE, cosine, sine)
        if slots:
            mixed = self._attend_cached(q_BTHE, k_BTKE, v_BTKE, span, slots)
        else:
            mixed = functional.scaled_dot_product_attention(
                q_BTHE.transpose(1, 2), k_BTKE.transpose(1, 2), v_BTKE.transpose(1, 2), attn_mask=span.mask_B1TT,
                is_causal=span.mask_B1TT is None, enable_gqa=self.spec.num_heads != self.spec.num_kv_heads,
            ).transpose(1, 2)  # fmt: skip
        out: Tensor = self.o_proj(mixed.flatten(-2))
        return out

    def _attend_cached(
        self, q_BTHE: Tensor, k_BTKE: Tensor, v_BTKE: Tensor, span: Span, slots: Sequence[AttentionSlot]
    ) -> Tensor:
        out_BTHE = torch.zeros_like(q_BTHE)
        for row, (slot, start, length) in enumerate(zip(slots, span.starts, span.lengths, strict=True)):
            slot.write(start, k_BTKE[row, :length], v_BTKE[row, :length])
            end = start + length
            keys, values = slot.keys_KSE[:, :end], slot.values_KSE[:, :end]
            out_BTHE[row, :length] = _attend(q_BTHE[row, :length], keys, values)
        return out_BTHE


def _attend(q_THE: Tensor, k_KSE: Tensor, v_KSE: Tensor) -> Tensor:
    """The last T of S tokens attend; the R query heads of a kv head become extra rows, so that no key is copied."""
    num_tokens, num_heads, head_dim = q_THE.shape
    num_kv_heads, num_keys, _ = k_KSE.shape
    ratio = num_heads // num_kv_heads
    q_KLE = q_THE.transpose(0, 1).reshape(num_kv_heads, ratio * num_tokens, head_dim)
    mask = None
    if num_tokens > 1:
        visible = torch.ones(num_tokens, num_keys, dtype=torch.bool, device=q_THE.device)
        mask = visible.tril(num_keys - num_tokens).repeat(ratio, 1)
    out = functional.scaled_dot_product_attention(q_KLE[None], k_KSE[None], v_KSE[None], attn_mask=mask)
    return out.reshape(num_heads, num_tokens, head_dim).transpose(0, 1)


def rope_angles(positions_BT: Tensor, head_dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of position * theta^(-2i / E), i < E/2: two tensors (B, T, 1, E/2), float32.

    Angles are formed in float64 where the device has it: at position 100,000 float32 is off by 0.004 radians.
    """
    precise = torch.float32 if positions_BT.device.type == "mps" else torch.float64
    exponent = torch.arange(0, head_dim, 2, device=positions_BT.device, dtype=precise) / head_dim
    angles = positions_BT[..., None, None].to(precise) * torch.pow(theta, -exponent)
    return angles.cos(), angles.sin()


def rotate_half(x_BTHE: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate each pair (x_i, x_{i+E/2}) by its angle."""
    low, high = x_BTHE.chunk(2, dim=-1)
    cosine, sine = cosine.to(x_BTHE.dtype), sine.to(x_BTHE.dtype)
    return torch.cat([low * cosine - high * sine, high * cosine + low * sine], dim=-1)
