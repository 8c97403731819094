"""The three forms of the recurrence agree with each other, and gradients with finite differences."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import pytest
import torch
from torch import Tensor

from mambino.model.ssd import SsdOutput, ssd_chunked, ssd_scan, ssd_step

pytestmark = pytest.mark.torch

# Some hundred float64 operations on values of order one.
FLOAT64_TOLERANCE = 1e-12
# The same in float32: three digits of margin over its rounding of 6e-8, sums of up to 150 terms of order ten.
FLOAT32_TOLERANCE = 2e-4

Shape = tuple[int, int, int, int]  # heads, groups, head size, state size
SHAPES = [(1, 1, 1, 1), (6, 3, 5, 7), (4, 1, 3, 2), (3, 3, 8, 4)]
LENGTHS = [1, 2, 3, 63, 64, 65, 130]
CHUNKS = [1, 3, 32, 64, 500]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Arguments of ssd_scan and ssd_chunked."""

    x: Tensor
    dt: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor

    def at(self, tokens: slice, rows: slice = slice(None)) -> "Inputs":
        over_time = {name: getattr(self, name)[rows, tokens] for name in ("x", "dt", "B", "C")}
        return replace(self, **over_time)

    def tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


def make(shape: Shape, length: int, *, dtype: torch.dtype = torch.float64, rows: int = 2) -> Inputs:
    heads, groups, head_dim, state_size = shape
    generator = torch.Generator().manual_seed(length)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64).to(dtype)

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=generator, dtype=torch.float64).to(dtype)

    return Inputs(
        x=normal(rows, length, heads, head_dim),
        dt=uniform(rows, length, heads) * 0.5,
        A=-(uniform(heads) * 4 + 0.1),
        B=normal(rows, length, groups, state_size),
        C=normal(rows, length, groups, state_size),
        D=normal(heads),
    )


def make_state(inputs: Inputs) -> Tensor:
    batch, _, heads, head_dim = inputs.x.shape
    generator = torch.Generator().manual_seed(9)
    state = torch.randn(batch, heads, head_dim, inputs.B.shape[-1], generator=generator, dtype=torch.float64)
    return state.to(inputs.x.dtype)


def assert_close(got: SsdOutput, expected: SsdOutput, tolerance: float = FLOAT64_TOLERANCE) -> None:
    assert got.y.shape == expected.y.shape
    assert (got.y - expected.y).abs().max() < tolerance
    assert (got.state_BHPN - expected.state_BHPN).abs().max() < tolerance


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_step_scan_and_chunked_agree(shape: Shape, length: int) -> None:
    inputs = make(shape, length)
    state = make_state(inputs)
    scanned = ssd_scan(*inputs.tensors(), state_BHPN=state)
    for chunk_size in CHUNKS:
        assert_close(ssd_chunked(*inputs.tensors(), state_BHPN=state, chunk_size=chunk_size), scanned)
    stepped = []
    for t in range(length):
        now = inputs.at(slice(t, t + 1))
        step = ssd_step(now.x[:, 0], now.dt[:, 0], now.A, now.B[:, 0], now.C[:, 0], now.D, state)
        state = step.state_BHPN
        stepped.append(step.y)
    assert_close(SsdOutput(y=torch.stack(stepped, dim=1), state_BHPN=state), scanned)


def test_one_step_is_the_published_equation() -> None:
    """By hand: two heads of one group, one value each."""
    out = ssd_step(
        torch.tensor([[[2.0], [3.0]]]), torch.tensor([[0.5, 1.0]]), torch.tensor([-1.0, -2.0]),
        torch.tensor([[[4.0]]]), torch.tensor([[[10.0]]]), torch.tensor([7.0, 0.0]), torch.tensor([[[[1.0]], [[1.0]]]]),
    )  # fmt: skip
    state = [0.6065306597 * 1.0 + 0.5 * 2.0 * 4.0, 0.1353352832 * 1.0 + 1.0 * 3.0 * 4.0]
    assert out.state_BHPN.flatten().tolist() == pytest.approx(state)
    assert out.y.flatten().tolist() == pytest.approx([10 * state[0] + 7.0 * 2.0, 10 * state[1]])


@pytest.mark.parametrize("cut", [1, 2, 31, 63, 64, 65, 128, 149])
def test_the_state_carries_everything_over_a_cut(cut: int) -> None:
    inputs = make((6, 3, 5, 7), 150)
    whole = ssd_chunked(*inputs.tensors(), chunk_size=64)
    first = ssd_chunked(*inputs.at(slice(cut)).tensors(), chunk_size=64)
    second = ssd_chunked(*inputs.at(slice(cut, None)).tensors(), state_BHPN=first.state_BHPN, chunk_size=64)
    joined = torch.cat([first.y, second.y], dim=1)
    assert_close(SsdOutput(y=joined, state_BHPN=second.state_BHPN), whole)


@pytest.mark.parametrize("form", [ssd_scan, ssd_chunked])
@pytest.mark.parametrize("starts", [[0], [1], [64], [0, 1, 2, 63, 65, 128, 149], [5, 70], [40, 41]])
def test_packed_documents_equal_separate_ones(form: Callable[..., SsdOutput], starts: list[int]) -> None:
    inputs = make((6, 3, 5, 7), 150)
    state = make_state(inputs)
    resets = torch.zeros(2, 150, dtype=torch.bool)
    resets[0, starts] = True
    packed = form(*inputs.tensors(), state_BHPN=state, resets_BT=resets)
    edges = sorted({0, *starts, 150})
    for begin, end in itertools.pairwise(edges):
        initial = None if begin in starts else state[:1]
        alone = ssd_scan(*inputs.at(slice(begin, end), slice(0, 1)).tensors(), state_BHPN=initial)
        assert (packed.y[:1, begin:end] - alone.y).abs().max() < FLOAT64_TOLERANCE
    assert (packed.state_BHPN[:1] - alone.state_BHPN).abs().max() < FLOAT64_TOLERANCE
    unmarked = ssd_scan(*inputs.at(slice(None), slice(1, 2)).tensors(), state_BHPN=state[1:])
    assert (packed.y[1:] - unmarked.y).abs().max() < FLOAT64_TOLERANCE


def test_nothing_at_all_leaks_across_a_reset() -> None:
    """Not even from a document of infinities that would survive a factor of 1e-30."""
    inputs = make((4, 2, 3, 5), 100)
    resets = torch.zeros(2, 100, dtype=torch.bool)
    resets[:, 70] = True
    loud = replace(inputs, x=inputs.x.clone())
    loud.x[:, :70] *= 1e200
    quiet_y = ssd_chunked(*inputs.tensors(), resets_BT=resets).y[:, 70:]
    loud_y = ssd_chunked(*loud.tensors(), resets_BT=resets).y[:, 70:]
    assert torch.equal(quiet_y, loud_y)


@pytest.mark.parametrize("length", [65, 150])
def test_float32_is_close_to_float64(length: int) -> None:
    exact = ssd_scan(*make((6, 3, 5, 7), length).tensors())
    got = ssd_chunked(*make((6, 3, 5, 7), length, dtype=torch.float32).tensors())
    assert got.y.dtype == torch.float32
    assert_close(got, exact, FLOAT32_TOLERANCE)


@pytest.mark.parametrize("scale", [1e-6, 1e3])
def test_extreme_decay_gives_finite_values_and_gradients(scale: float) -> None:
    inputs = make((4, 2, 3, 5), 130, dtype=torch.float32)
    inputs = replace(inputs, A=inputs.A * scale)
    for tensor in inputs.tensors():
        tensor.requires_grad_()
    out = ssd_chunked(*inputs.tensors())
    gradients = torch.autograd.grad(out.y.square().mean() + out.state_BHPN.sum(), inputs.tensors())
    assert all(tensor.isfinite().all() for tensor in (out.y, out.state_BHPN, *gradients))


@pytest.mark.parametrize(("length", "chunk_size"), [(1, 4), (4, 4), (7, 3), (8, 2)])
@pytest.mark.parametrize("starts", [None, [0, 3], [5]])
def test_chunked_gradients_equal_those_of_the_scan(length: int, chunk_size: int, starts: list[int] | None) -> None:
    inputs = make((6, 3, 2, 4), length)
    leaves = [tensor.clone().requires_grad_() for tensor in (*inputs.tensors(), make_state(inputs))]
    resets = None
    if starts is not None:
        resets = torch.zeros(2, length, dtype=torch.bool)
        resets[1, [start for start in starts if start < length]] = True
    weight = torch.randn(2, length, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def gradients(out: SsdOutput) -> tuple[Tensor, ...]:
        return torch.autograd.grad((out.y * weight).sum() + out.state_BHPN.square().sum(), leaves)

    expected = gradients(ssd_scan(*leaves[:-1], state_BHPN=leaves[-1], resets_BT=resets))
    got = gradients(ssd_chunked(*leaves[:-1], state_BHPN=leaves[-1], resets_BT=resets, chunk_size=chunk_size))
    for name, ours, theirs in zip(["x", "dt", "A", "B", "C", "D", "state"], got, expected, strict=True):
        assert (ours - theirs).abs().max() < FLOAT64_TOLERANCE * 100, name
