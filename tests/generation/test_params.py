import math
from dataclasses import replace
from typing import Any

import pytest

from mambino.errors import InputError
from mambino.generation.params import SamplingParams

BAD: list[tuple[str, Any]] = [
    ("temperature", -0.1),
    ("temperature", math.nan),
    ("temperature", math.inf),
    ("temperature", "1"),
    ("temperature", True),
    ("temperature", None),
    ("top_k", -1),
    ("top_k", 1.5),
    ("top_p", 0.0),
    ("top_p", 1.01),
    ("top_p", math.nan),
    ("min_p", -0.01),
    ("min_p", 1.01),
    ("repetition_penalty", 0.0),
    ("repetition_penalty", -1.0),
    ("presence_penalty", math.nan),
    ("frequency_penalty", math.inf),
    ("logit_bias", {-1: 1.0}),
    ("logit_bias", {"3": 1.0}),
    ("logit_bias", {3: math.nan}),
    ("logit_bias", {3: math.inf}),
    ("seed", -1),
    ("seed", 1.0),
    ("stop", "text"),
    ("stop", ("",)),
    ("stop", (3,)),
    ("stop_token_ids", (-1,)),
    ("stop_token_ids", ("a",)),
    ("max_tokens", 0),
    ("max_tokens", True),
    ("logprobs", -1),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=rf"\[sampling\] {name}"):
        SamplingParams(**changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", 0),
        ("temperature", 5.0),
        ("top_p", 1e-9),
        ("min_p", 1.0),
        ("logit_bias", {0: -math.inf, 7: -100}),
        ("seed", 2**70),
        ("stop", ["a", "b"]),
        ("logprobs", 0),
    ],
)
def test_values_at_the_edge_are_taken(name: str, value: object) -> None:
    changes: dict[str, Any] = {name: value}
    params = SamplingParams(**changes)
    assert replace(params) == params


def test_later_changes_of_the_arguments_do_not_reach_in() -> None:
    bias = {1: 2.0}
    params = SamplingParams(logit_bias=bias)
    bias[1] = 9.0
    assert params.logit_bias == {1: 2.0}
    with pytest.raises(TypeError):
        params.logit_bias[1] = 3.0  # type: ignore[index]
