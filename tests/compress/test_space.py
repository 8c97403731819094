"""Candidates: what cannot be cut or counted is left out, and no model is listed twice."""

from dataclasses import replace

import pytest

from compress_models import BLOCKY, cuttable_config
from mambino.compress.budget import Budget, bytes_with, parameters
from mambino.compress.space import SearchSpace, candidates
from mambino.config import AttentionSpec, MlpSpec
from mambino.errors import InputError

LLAMA = replace(
    BLOCKY,
    architecture="llama",
    layers=3
    * (
        AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=32, rope_theta=10_000.0),
        MlpSpec(intermediate_size=96, activation="swiglu"),
    ),
)


def everything() -> Budget:
    return Budget(name="all", cost=parameters, limit=1e12)


def test_a_llama_gives_up_layers_in_pairs_only() -> None:
    found = candidates(LLAMA, SearchSpace(num_layers=(6, 5, 4, 3, 2)), everything(), slack=1.0)
    assert [len(one.sub.kept) for one in found] == [6, 4, 2]


def test_sizes_that_no_block_divides_are_left_out() -> None:
    budget = Budget(name="all", cost=bytes_with("q4_0", context=16), limit=1e12)
    found = candidates(BLOCKY, SearchSpace(hidden_size=(64, 48, 32)), budget, slack=1.0)
    assert [one.sub.config.hidden_size for one in found] == [64, 32]


def test_where_nothing_is_possible_the_reason_is_said() -> None:
    with pytest.raises(InputError, match=r"no combination of these sizes is possible: .*B/C groups"):
        candidates(BLOCKY, SearchSpace(mamba_heads=(3, 1)), everything())


def test_one_model_is_one_candidate() -> None:
    """The second MLP has 14 neurons, so 20 and 18 of the first make two models, but 64 and 20 make one."""
    found = candidates(cuttable_config(), SearchSpace(intermediate_size=(64, 20, 18)), everything(), slack=1.0)
    assert [one.sub.config.layers[1] for one in found] == [
        MlpSpec(intermediate_size=size, activation="relu2") for size in (20, 18)
    ]
