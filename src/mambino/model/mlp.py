"""The MLP mixer: relu2 (two matrices) or swiglu (three).

Knows nothing of state: a token's result depends on that token only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mambino.config import MlpSpec


class Mlp(nn.Module):
    """relu2: down(max(up(x), 0)^2).   swiglu: down(silu(gate(x)) * up(x))."""

    def __init__(self, hidden_size: int, spec: MlpSpec, *, device: torch.device | None, dtype: torch.dtype) -> None:
        super().__init__()
        width = spec.intermediate_size
        self.spec = spec
        self.up_proj = nn.Linear(hidden_size, width, bias=False, device=device, dtype=dtype)
        self.down_proj = nn.Linear(width, hidden_size, bias=False, device=device, dtype=dtype)
        if spec.activation == "swiglu":
            self.gate_proj = nn.Linear(hidden_size, width, bias=False, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        up: Tensor = self.up_proj(x)
        if self.spec.activation == "swiglu":
            inner = functional.silu(self.gate_proj(x)) * up
        else:
            inner = functional.relu(up).square()
        out: Tensor = self.down_proj(inner)
        return out
