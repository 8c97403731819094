"""The causal convolution: against torch's own, across history and document borders, gradients included."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mambino.model.conv import CausalConv, convolve
from mambino.model.span import Span

pytestmark = pytest.mark.torch

# A few float64 operations on values of order one.
FLOAT64_TOLERANCE = 1e-13
CHANNELS = 7


def make(width: int, *, rows: int = 2, tokens: int = 11) -> tuple[CausalConv, Tensor]:
    generator = torch.Generator().manual_seed(width)
    conv = CausalConv(CHANNELS, width, device=None, dtype=torch.float64)
    conv.reset_parameters(generator)
    return conv, torch.randn(rows, tokens, CHANNELS, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 11])
def test_it_is_a_depthwise_conv1d_padded_on_the_left(width: int, tokens: int) -> None:
    conv, x = make(width, tokens=tokens)
    padded = functional.pad(x.transpose(1, 2), (width - 1, 0))
    expected = functional.conv1d(padded, conv.weight, conv.bias, groups=CHANNELS).transpose(1, 2)
    assert (conv(x) - expected).abs().max() < FLOAT64_TOLERANCE


@pytest.mark.parametrize("cut", range(1, 11))
def test_history_continues_the_convolution(cut: int) -> None:
    conv, x = make(4)
    padded = conv.with_history(x, None)
    second = conv(x[:, cut:], padded[:, cut : cut + 3])
    assert torch.equal(torch.cat([conv(x[:, :cut]), second], dim=1), conv(x))


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("starts", [[0], [1], [5], [4, 5, 6], [2, 4, 10], list(range(11))])
def test_packed_documents_equal_separate_ones_bit_for_bit(width: int, starts: list[int]) -> None:
    conv, x = make(width)
    resets = torch.zeros(2, 11, dtype=torch.bool)
    resets[1, starts] = True
    packed = conv(x, None, Span.packed(resets, max_lag=3).crossings)
    edges = sorted({0, *starts, 11})
    alone = [conv(x[1:, begin:end]) for begin, end in itertools.pairwise(edges)]
    assert torch.equal(packed[1:], torch.cat(alone, dim=1))
    assert torch.equal(packed[:1], conv(x[:1]))


@pytest.mark.parametrize("starts", [[], [0], [3, 4], [1, 6]])
def test_gradients_equal_finite_differences(starts: list[int]) -> None:
    conv, x = make(4, tokens=8)
    resets = torch.zeros(2, 8, dtype=torch.bool)
    resets[0, starts] = True
    crossings = Span.packed(resets, max_lag=3).crossings
    padded = conv.with_history(x, None).requires_grad_()
    weight, bias = conv.weight.detach().requires_grad_(), conv.bias.detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda p, w, b: convolve(p, w, b, crossings), (padded, weight, bias))


def test_it_computes_in_float32_for_a_half_precision_model() -> None:
    conv = CausalConv(CHANNELS, 4, device=None, dtype=torch.bfloat16)
    conv.reset_parameters(None)
    assert conv.weight.dtype == torch.float32
    assert conv(torch.zeros(1, 3, CHANNELS, dtype=torch.bfloat16)).dtype == torch.float32
