"""The norms: their formulas, group by group, and the order of gate and norm."""

import pytest
import torch

from mambino.model.norm import GatedGroupNorm, RMSNorm

pytestmark = pytest.mark.torch

FLOAT64_TOLERANCE = 1e-13  # a few float64 operations on values of order one
EPS = 1e-2  # large, so that a forgotten eps shows


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


def test_rms_norm_is_its_formula() -> None:
    norm = RMSNorm(5, EPS, device=None, dtype=torch.float64)
    x, weight = normal(2, 3, 5), normal(5)
    with torch.no_grad():
        norm.weight.copy_(weight)
    expected = weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS)
    assert (norm(x) - expected).abs().max() < FLOAT64_TOLERANCE


def test_gated_norm_gates_first_and_takes_statistics_a_group() -> None:
    norm = GatedGroupNorm(12, 3, EPS, device=None, dtype=torch.float64)
    y, z, weight = normal(2, 12), normal(2, 12).flip(0), normal(12)
    with torch.no_grad():
        norm.weight.copy_(weight)
    gated = y * z * torch.sigmoid(z)
    parts = [part / torch.sqrt((part * part).mean(-1, keepdim=True) + EPS) for part in torch.split(gated, 4, dim=-1)]
    assert (norm(y, z) - torch.cat(parts, dim=-1) * weight).abs().max() < FLOAT64_TOLERANCE


def test_statistics_of_half_precision_are_float32() -> None:
    """Squares of 300 overflow float16."""
    norm = RMSNorm(4, 1e-5, device=None, dtype=torch.float16)
    out = norm(torch.full((1, 4), 300.0, dtype=torch.float16))
    assert out.dtype == torch.float16
    assert torch.equal(out, torch.ones(1, 4, dtype=torch.float16))
