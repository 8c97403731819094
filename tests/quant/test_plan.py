"""Plans and mixes: what every tensor gets, what it amounts to, and what is refused."""

from math import prod

import pytest

from mambino.errors import InputError
from mambino.quant.mixes import MIXES, plan_for_mix
from mambino.quant.plan import QuantPlan, plan_from_json, sizes_by_kind
from mambino.quant.types import TYPES

# Widths of the 4B: 3136 is no multiple of 256, the others are.
SHAPES = {
    "embeddings.weight": (131072, 3136),
    "norm_f.weight": (3136,),
    "lm_head.weight": (131072, 3136),
    "layers.0.mixer.in_proj.weight": (17504, 3136),
    "layers.0.mixer.conv1d.weight": (9728, 1, 4),
    "layers.0.mixer.out_proj.weight": (3136, 7680),
    "layers.1.mixer.v_proj.weight": (1024, 3136),
    **{f"layers.{index}.mixer.down_proj.weight": (3136, 12544) for index in range(2, 18)},
}


def names(plan):
    return {own: chosen.name for own, chosen in plan.types.items()}


def test_q4_k_m_chooses_what_llama_cpp_chooses():
    types = names(plan_for_mix("Q4_K_M", SHAPES))
    assert types["embeddings.weight"] == types["layers.0.mixer.in_proj.weight"] == "Q5_0"
    assert types["lm_head.weight"] == types["layers.1.mixer.v_proj.weight"] == "Q8_0"
    assert types["layers.0.mixer.out_proj.weight"] == "Q4_K"
    down = [types[f"layers.{index}.mixer.down_proj.weight"] for index in range(2, 18)]
    assert [name == "Q6_K" for name in down] == [i < 2 or i >= 14 or (i - 2) % 3 == 2 for i in range(16)]


def test_m_mixes_spend_no_more_bits_where_rows_are_no_multiple_of_256():
    for mix, bits in (("m4", 4.5), ("m5", 5.5)):
        plan = plan_for_mix(mix, SHAPES)
        own = "layers.0.mixer.in_proj.weight"
        assert plan.types[own].bits_per_weight == bits
        assert plan.types["layers.4.mixer.down_proj.weight"].bits_per_weight == bits
        for raised in ("lm_head.weight", "layers.0.mixer.out_proj.weight", "layers.1.mixer.v_proj.weight"):
            assert bits < plan.types[raised].bits_per_weight <= bits + 1.1


@pytest.mark.parametrize("name", MIXES)
def test_every_mix_fits_and_leaves_small_tensors_alone(name):
    plan = plan_for_mix(name, SHAPES)
    plan.require_fit(SHAPES)
    assert all((chosen.name == "F32") == (len(SHAPES[own]) != 2) for own, chosen in plan.types.items())


def test_a_tied_embedding_gets_the_type_of_the_head():
    tied = {own: shape for own, shape in SHAPES.items() if own != "lm_head.weight"}
    assert names(plan_for_mix("q4_k_m", tied))["embeddings.weight"] == "Q8_0"


def test_sizes_add_up():
    plan = plan_for_mix("m4", SHAPES)
    kinds = sizes_by_kind(plan, SHAPES)
    assert sum(kind.nbytes for kind in kinds) == plan.nbytes(SHAPES)
    assert sum(kind.parameters for kind in kinds) == sum(prod(shape) for shape in SHAPES.values())
    assert [kind.kind for kind in kinds][-1] == "small"
    down = next(kind for kind in kinds if kind.kind == "down_proj")
    assert sum(down.types.values()) == down.tensors == 16
    assert (dict(down.types), down.bits_per_weight) == ({"Q4_K": 16}, 4.5)


def test_a_plan_survives_json():
    plan = plan_for_mix("q5_k_m", SHAPES)
    assert plan_from_json(plan.to_json(), "x") == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x: not JSON"),
        (b"\xff\xfe\xfa", "x: not JSON"),
        ("[" * 100_000, "x: not JSON"),
        ("[]", "expected an object"),
        ('{"format": "other", "types": {}}', "expected an object"),
        ('{"format": "mambino-quant-plan", "types": {"a": "Q2_K"}}', "tensor a: expected one of F32, .*, got 'Q2_K'"),
        ('{"format": "mambino-quant-plan", "types": {"a": "F8_E4M3"}}', "tensor a: expected one of"),
        ('{"format": "mambino-quant-plan", "types": {"a": []}}', "tensor a: expected one of"),
    ],
)
def test_a_damaged_plan_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        plan_from_json(text, "x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra.weight": "F32"}, "differ in 1 tensors, such as extra.weight"),
        ({"layers.0.mixer.in_proj.weight": "Q4_K"}, "rows of 3136 do not divide into Q4_K blocks of 256"),
        ({"norm_f.weight": "F16"}, "norm_f.weight: only matrices can be quantised"),
    ],
)
def test_a_plan_that_does_not_fit_the_model_is_refused(changes, message):
    types = {**plan_for_mix("q8_0", SHAPES).types, **{own: TYPES[name] for own, name in changes.items()}}
    with pytest.raises(InputError, match=message):
        QuantPlan(name="p", types=types).require_fit(SHAPES)


def test_an_unknown_mix_and_odd_rows_are_refused():
    with pytest.raises(InputError, match=r"expected one of f16, .* got 'q2_k'"):
        plan_for_mix("q2_k", SHAPES)
    with pytest.raises(InputError, match="rows of 37 are not whole blocks of 32; use mix f16"):
        plan_for_mix("q8_0", {"lm_head.weight": (4, 37)})
