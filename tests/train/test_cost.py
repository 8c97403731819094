"""Estimates of a run: counted operations agree with torch's own counter, hours are consistent."""

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mambino.config import AttentionSpec, HybridConfig
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.cost import GPUS, TrainingCost, forward_flops, measured_flops_per_s, training_cost

pytestmark = pytest.mark.torch

# torch counts matrix products only: not the norms, the conv and the D term
FLOPS_TOLERANCE = 0.05


@pytest.mark.parametrize("name", ["tiny_config", "tiny_llama"])
def test_operations_agree_with_a_count(name: str, request: pytest.FixtureRequest) -> None:
    config: HybridConfig = request.getfixturevalue(name)
    model = HybridLM(config)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 64, dtype=torch.long))
    queries = sum(layer.query_size for layer in config.layers if isinstance(layer, AttentionSpec))
    counted = counter.get_total_flops() + 2 * 64 * 64 * queries  # it does not see attention on a CPU
    assert forward_flops(config, 64) * 64 == pytest.approx(counted, rel=FLOPS_TOLERANCE)


def test_a_run_costs_more_with_a_teacher_and_with_recomputation(tiny_config: HybridConfig) -> None:
    def cost(teacher: HybridConfig | None, recompute: bool) -> float:
        return training_cost(
            tiny_config, num_tokens=1000, rows=2, row_size=64, teacher=teacher, recompute=recompute
        ).flops

    plain = cost(None, False)
    assert cost(None, True) == pytest.approx(4 / 3 * plain)
    assert cost(tiny_config, False) == pytest.approx(4 / 3 * plain)


def test_recomputation_saves_memory(tiny_config: HybridConfig) -> None:
    costs = [training_cost(tiny_config, num_tokens=9, rows=2, row_size=64, recompute=r) for r in (False, True)]
    assert costs[1].activation_nbytes < costs[0].activation_nbytes
    assert costs[0].state_nbytes == 16 * tiny_config.num_parameters


def test_what_a_step_trains_is_counted_by_its_share(tiny_config: HybridConfig) -> None:
    small = replace(tiny_config, layers=tiny_config.layers[:3])

    def cost(*kinds: tuple[tuple[HybridConfig, ...], float]) -> TrainingCost:
        return training_cost(tiny_config, num_tokens=1000, rows=2, row_size=64, kinds=kinds)

    plain, least = cost(((tiny_config,), 1.0)), cost(((small,), 1.0))
    assert plain == training_cost(tiny_config, num_tokens=1000, rows=2, row_size=64)
    assert least.state_nbytes == plain.state_nbytes  # slices of the same weights
    mixed, both = cost(((tiny_config,), 0.25), ((small,), 0.75)), cost(((tiny_config, small), 1.0))
    assert mixed.flops == pytest.approx(0.25 * plain.flops + 0.75 * least.flops)
    assert mixed.activation_nbytes == plain.activation_nbytes > least.activation_nbytes
    assert both.flops == pytest.approx(plain.flops + least.flops)
    assert both.activation_nbytes > plain.activation_nbytes


def test_hours_follow_from_speed(tiny_config: HybridConfig) -> None:
    cost = training_cost(tiny_config, num_tokens=10**9, rows=2, row_size=64)
    assert cost.hours(1e12) == pytest.approx(2 * cost.hours(2e12))
    assert cost.gpu_hours(GPUS["B200"]) < cost.gpu_hours(GPUS["A100 80GB"])
    assert cost.gpus_for_memory(GPUS["RTX 4090"]) == 1
    assert measured_flops_per_s(size=64, seconds=0.01) > 1e6
    with pytest.raises(InputError, match="positive sizes"):
        training_cost(tiny_config, num_tokens=0, rows=2, row_size=64)
