"""Every parameter has one treatment; Muon works block by block; schedules have the shape they claim."""

import itertools

import pytest
import torch

from mambino.config import HybridConfig
from mambino.model.hybrid import HybridLM
from mambino.train.optim import (
    Cosine,
    Optimizer,
    OptimSettings,
    WarmupStableDecay,
    block_rows,
    orthogonal,
    parameter_groups,
)

pytestmark = pytest.mark.torch

# Muon's five quintic steps leave singular values in about [0.68, 1.13]; a little slack for float32.
SINGULAR_RANGE = (0.6, 1.25)


def test_every_parameter_is_in_one_group_and_the_delicate_ones_are_not_decayed(tiny_config: HybridConfig) -> None:
    names = dict(HybridLM(tiny_config).named_parameters())
    groups = parameter_groups(names)
    assert sorted(groups.matrices + groups.tables + groups.vectors) == sorted(names)
    assert all(names[name].ndim == 2 for name in groups.matrices)
    undecayed = groups.tables + groups.vectors
    for part in ("A_log", "D", "dt_bias", "conv1d.weight", "conv1d.bias", "norm.weight", "embeddings.weight"):
        assert any(name.endswith(part) for name in undecayed), part
        assert not any(name.endswith(part) for name in groups.matrices), part


def test_decay_without_gradient_shrinks_matrices_and_nothing_else(tiny_config: HybridConfig) -> None:
    model = HybridLM(tiny_config)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = Optimizer.for_model(model, OptimSettings(learning_rate=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(1.0)
    matrices = parameter_groups(before).matrices
    for name, parameter in model.named_parameters():
        expected = before[name] * 0.95 if name in matrices else before[name]
        torch.testing.assert_close(parameter.detach(), expected)


def test_the_blocks_of_in_proj_are_its_five_parts(tiny_config: HybridConfig) -> None:
    model = HybridLM(tiny_config)
    parameters = dict(model.named_parameters())
    blocks = block_rows(model)
    assert set(blocks) == {name for name in parameters if name.endswith("in_proj.weight")}
    assert all(sum(rows) == len(parameters[name]) for name, rows in blocks.items())


def test_muon_orthogonalises_each_block_apart(tiny_config: HybridConfig) -> None:
    model = HybridLM(tiny_config)
    name, rows = next(iter(block_rows(model).items()))
    weight = dict(model.named_parameters())[name]
    optimizer = Optimizer.for_model(model, OptimSettings(learning_rate=1.0, weight_decay=0.0))
    generator = torch.Generator().manual_seed(5)
    gradient = torch.randn(weight.shape, generator=generator)
    gradient[: rows[0]] *= 1e4  # one loud block must not silence the others
    before = weight.detach().clone()
    weight.grad = gradient
    optimizer.step(1.0)
    for moved in torch.split(before - weight.detach(), list(rows)):
        values = torch.linalg.svdvals(moved) / (0.2 * max(moved.shape) ** 0.5)
        assert SINGULAR_RANGE[0] < float(values.min()) <= float(values.max()) < SINGULAR_RANGE[1]


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (5, 33), (33, 5), (16, 16)])
def test_orthogonal_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    left, _, right = torch.linalg.svd(
        torch.randn(shape, generator=torch.Generator().manual_seed(2)), full_matrices=False
    )
    spread = torch.linspace(0.3, 1.0, min(shape))
    values = torch.linalg.svdvals(orthogonal(left @ torch.diag(spread) @ right))
    assert SINGULAR_RANGE[0] < float(values.min()) <= float(values.max()) < SINGULAR_RANGE[1]


def test_warmup_stable_decay_rises_holds_and_falls_to_nearly_zero() -> None:
    schedule = WarmupStableDecay(warmup_steps=4, stable_steps=6, decay_steps=10)
    scales = [schedule.scale(step) for step in range(schedule.total_steps)]
    assert scales[:4] == [0.25, 0.5, 0.75, 1.0]
    assert scales[4:10] == 6 * [1.0]
    assert all(later < earlier for earlier, later in itertools.pairwise(scales[9:]))
    assert 0.0 < scales[-1] < 0.1
    assert schedule.decay_progress(9) == 0.0
    assert 0.0 < schedule.decay_progress(11) < schedule.decay_progress(19) < 1.0


def test_cosine_warms_up_and_falls_to_its_floor() -> None:
    schedule = Cosine(warmup_steps=4, decay_steps=10, floor=0.1)
    scales = [schedule.scale(step) for step in range(schedule.total_steps)]
    assert scales[:4] == [0.25, 0.5, 0.75, 1.0]
    assert scales[-1] == pytest.approx(0.1)
    assert scales[8] == pytest.approx(0.55)
    assert all(later < earlier for earlier, later in itertools.pairwise(scales[3:]))
