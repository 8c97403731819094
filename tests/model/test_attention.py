"""Attention: cache, packing, position. Its values are judged by tests/parity."""

import dataclasses
import itertools

import pytest
import torch
from torch import Tensor

from mambino.config import AttentionSpec
from mambino.model.attention import Attention, rope_angles
from mambino.model.span import Span
from mambino.model.state import AttentionSlot

pytestmark = pytest.mark.torch

FLOAT64_TOLERANCE = 1e-12  # some hundred float64 operations on values of order one
HIDDEN, TOKENS = 9, 12
NOPE = AttentionSpec(num_heads=6, num_kv_heads=2, head_dim=4)
ROPE = dataclasses.replace(NOPE, rope_theta=100.0)


@pytest.fixture(params=[NOPE, ROPE], ids=["nope", "rope"])
def attention(request: pytest.FixtureRequest) -> Attention:
    torch.manual_seed(1)
    module = Attention(HIDDEN, request.param, device=None, dtype=torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(3.0)  # scores far from uniform
    return module


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, TOKENS, HIDDEN, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def fresh(attention: Attention, x: Tensor) -> Tensor:
    out: Tensor = attention(x, Span.fresh(x[..., 0]))
    return out


@torch.no_grad()
def test_cached_attention_equals_attention_in_one_pass(attention: Attention, x: Tensor) -> None:
    slots = [AttentionSlot(attention.spec, 40, torch.device("cpu"), torch.float64) for _ in range(2)]
    for slot in slots:
        slot.keys_KSE.fill_(torch.nan)  # what lies beyond the position must never be read
        slot.values_KSE.fill_(torch.nan)
    pieces = []
    for begin, end in ((0, 5), (5, 6), (6, 7), (7, TOKENS)):
        piece = x[:, begin:end]
        pieces.append(attention(piece, Span.continued(piece[..., 0], [begin] * 2, [end - begin] * 2), slots))
    assert (torch.cat(pieces, dim=1) - fresh(attention, x)).abs().max() < FLOAT64_TOLERANCE


@pytest.mark.parametrize("starts", [[0], [5], [1, 2, 11]])
def test_packed_documents_equal_separate_ones(attention: Attention, x: Tensor, starts: list[int]) -> None:
    resets = torch.zeros(2, TOKENS, dtype=torch.bool)
    resets[0, starts] = True
    packed = attention(x, Span.packed(resets, max_lag=0))
    edges = sorted({0, *starts, TOKENS})
    alone = [fresh(attention, x[:1, begin:end]) for begin, end in itertools.pairwise(edges)]
    assert (packed[:1] - torch.cat(alone, dim=1)).abs().max() < FLOAT64_TOLERANCE
    assert (packed[1:] - fresh(attention, x[1:])).abs().max() < FLOAT64_TOLERANCE


def test_no_token_sees_a_later_one(attention: Attention, x: Tensor) -> None:
    changed = x.clone()
    changed[:, 7:] += 1.0
    assert torch.equal(fresh(attention, changed)[:, :7], fresh(attention, x)[:, :7])


def test_only_rope_tells_the_order_of_earlier_tokens(attention: Attention, x: Tensor) -> None:
    swapped = x[:, [1, 0, *range(2, TOKENS)]]
    difference = (fresh(attention, swapped)[:, 2:] - fresh(attention, x)[:, 2:]).abs().max()
    if attention.spec.rope_theta is None:
        assert difference < FLOAT64_TOLERANCE
    else:
        assert difference > 1e-3


def test_rope_angles_stay_exact_far_into_the_context() -> None:
    cosine, sine = rope_angles(torch.tensor([[131_071]]), 2, 10_000.0)
    assert abs(float(torch.atan2(sine, cosine)) - (131_071 % (2 * torch.pi))) % (2 * torch.pi) < 1e-9
