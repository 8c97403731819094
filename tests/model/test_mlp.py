"""The MLP: both formulas."""

import pytest
import torch
from torch.nn import functional

from mambino.config import Activation, MlpSpec
from mambino.model.mlp import Mlp

pytestmark = pytest.mark.torch


def make(activation: Activation) -> Mlp:
    torch.manual_seed(0)
    return Mlp(5, MlpSpec(intermediate_size=7, activation=activation), device=None, dtype=torch.float64)


def test_relu2_squares_the_positive_part() -> None:
    mlp, x = make("relu2"), torch.randn(2, 3, 5, dtype=torch.float64)
    expected = functional.relu(x @ mlp.up_proj.weight.T) ** 2 @ mlp.down_proj.weight.T
    assert torch.allclose(mlp(x), expected, atol=1e-13)


def test_swiglu_gates_with_silu() -> None:
    mlp, x = make("swiglu"), torch.randn(2, 3, 5, dtype=torch.float64)
    expected = functional.silu(x @ mlp.gate_proj.weight.T) * (x @ mlp.up_proj.weight.T) @ mlp.down_proj.weight.T
    assert torch.allclose(mlp(x), expected, atol=1e-13)
