"""The published 9B under the published sizes is the published 4B, to the parameter."""

from dataclasses import replace

import pytest
from recipes.nemotron_4b import CHILD, NUM_PARAMETERS, PARENT, costs, kept_layers, parameters_on_meta, plan, report

from mambino.compress.budget import Budget, parameters
from mambino.compress.space import SearchSpace, candidates
from mambino.presets import preset

pytestmark = pytest.mark.torch


def test_the_9b_gives_exactly_the_4b() -> None:
    sub, published = plan(), preset(CHILD)
    assert sub.config.layers == published.layers
    assert (len(sub.config.layers), sub.config.hidden_size) == (42, 3136)
    assert sub.config.num_parameters == parameters_on_meta(sub) == NUM_PARAMETERS


def test_a_search_under_the_4b_budget_allows_it_and_nothing_larger() -> None:
    parent = preset(PARENT)
    kept = kept_layers(parent, preset(CHILD))
    order = [*kept, *(index for index in range(56) if index not in kept)]
    space = SearchSpace(
        hidden_size=(4480, 3584, 3136, 2688), mamba_heads=(128, 112, 96, 80),
        intermediate_size=(15_680, 14_112, 12_544, 10_976), num_layers=(42,),
    )  # fmt: skip
    budget = Budget(name="4B", cost=parameters, limit=NUM_PARAMETERS)
    best = candidates(parent, space, budget, depth_order=order, slack=0.01)[0]
    assert best.cost == NUM_PARAMETERS
    assert replace(best.sizes, num_layers=None).hidden_size == 3136
    assert (best.sizes.mamba_heads, best.sizes.intermediate_size) == (96, 12_544)


def test_the_price_is_of_the_right_order() -> None:
    """Six operations a weight and token, a third more for recomputation, two more a weight of the teacher."""
    stage = costs(plan())["short"]
    expected = (8 * 3.97e9 + 2 * 8.89e9) * 63e9
    assert stage.flops == pytest.approx(expected, rel=0.1)
    assert "3,973,556,832" in report()
    assert "GPU-hours" in report()
