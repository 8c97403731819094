"""The published models, to the last parameter."""

import pytest

from mambino.errors import InputError
from mambino.presets import PRESETS, preset


@pytest.mark.parametrize(
    ("name", "num_parameters"), [("nemotron-3-nano-4b", 3_973_556_832), ("nemotron-nano-9b-v2", 8_888_227_328)]
)
def test_parameter_counts_are_the_published_ones(name, num_parameters):
    assert preset(name).num_parameters == num_parameters


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("nemotron-3-nano-4b", (21, 17, 4)),
        ("nemotron-nano-9b-v2", (27, 25, 4)),
        ("nemotron-nano-12b-v2", (28, 28, 6)),
        ("nemotron-h-4b", (24, 24, 4)),
        ("nemotron-h-8b", (24, 24, 4)),
    ],
)
def test_layer_counts_are_the_published_ones(name, counts):
    assert tuple(preset(name).pattern.count(letter) for letter in "M-*") == counts


def test_the_4b_costs_what_its_fact_sheet_says():
    config = preset("nemotron-3-nano-4b")
    recurrent = 21 * 4_048_896
    assert config.state_nbytes(0) == recurrent
    assert config.state_nbytes(1) - recurrent == 16_384
    assert [index for index, letter in enumerate(config.pattern) if letter == "*"] == [12, 17, 24, 32]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=", ".join(PRESETS)):
        preset("nemotron-1t")
