"""Every transform is undone by its inverse, and permutes what it says."""

import numpy as np
import pytest

from mambino.errors import FormatError
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.formats.transforms import IDENTITY, NegativeExp, Reshape, RopePairs
from mambino.quant.types import TYPES
from tiny_models import tiny_hybrid_config, tiny_llama_config, tiny_weights

# A passes through exp and log in float64 and is rounded to float32 once each way: A_log carries a relative error of
# half a float32 step of A, an absolute error of 2^-24, and its own rounding.
A_LOG_TOLERANCE = 2.0**-23

CASES = [
    pytest.param(row, weights[row.own], id=f"{config.architecture}-{row.own}")
    for config in (tiny_hybrid_config(), tiny_llama_config())
    for weights in [tiny_weights(config)]
    for row in rows(config)
]


@pytest.mark.parametrize(("row", "tensor"), CASES)
def test_the_inverse_of_every_row_restores_the_tensor(row, tensor):
    there = row.transform.to_gguf(tensor)
    assert there.shape == row.transform.gguf_shape(row.shape)
    back = row.transform.to_hf(there, row.shape)
    assert (back.shape, back.type, back.name) == (tensor.shape, tensor.type, tensor.name)
    if isinstance(row.transform, NegativeExp):
        np.testing.assert_allclose(back.to_float32(), tensor.to_float32(), rtol=A_LOG_TOLERANCE, atol=A_LOG_TOLERANCE)
    else:
        np.testing.assert_array_equal(back.data, tensor.data)


def test_a_is_minus_exp_of_its_logarithm():
    a = NegativeExp().to_gguf(tensor_from_float32("A_log", np.log(np.float32([1, 2, 3]))))
    np.testing.assert_allclose(a.to_float32(), [[-1], [-2], [-3]], rtol=1e-6)


def test_half_precision_a_becomes_float32():
    a = NegativeExp().to_gguf(tensor_from_float32("A_log", np.float32([0.5]), TYPES["BF16"]))
    assert a.type.name == "F32"


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, -np.inf])
def test_a_that_is_not_negative_is_refused_by_name(value):
    with np.errstate(all="ignore"):
        stored = Tensor(name="blk.3.ssm_a", type=TYPES["F32"], shape=(1, 1), data=np.float32([value]).view(np.uint8))
    with pytest.raises(FormatError, match=r"tensor blk\.3\.ssm_a: expected negative values"):
        NegativeExp().to_hf(stored, (1,))


@pytest.mark.parametrize("value", [-200.0, 200.0])
def test_a_logarithm_outside_float32_is_refused(value):
    with pytest.raises(FormatError, match="leaves the float32 range"):
        NegativeExp().to_gguf(tensor_from_float32("A_log", np.float32([value])))


def test_rope_rows_go_from_halves_to_adjacent_pairs_head_by_head():
    halves = tensor_from_float32("q", np.arange(12, dtype=np.float32)[:, None])
    pairs = RopePairs(num_heads=2).to_gguf(halves)
    assert pairs.to_float32()[:, 0].tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]


def test_quantised_rows_are_permuted_as_their_values_are(rng):
    raw = rng.integers(0, 60, 8 * TYPES["Q4_1"].row_nbytes(64), dtype=np.uint8)
    tensor = Tensor(name="q", type=TYPES["Q4_1"], shape=(8, 64), data=raw)
    order = [0, 2, 1, 3, 4, 6, 5, 7]
    permuted = RopePairs(num_heads=2).to_gguf(tensor)
    np.testing.assert_array_equal(permuted.to_float32(), tensor.to_float32()[order])


def test_scales_of_rows_move_with_their_rows():
    tensor = Tensor(
        name="q", type=TYPES["F8_E4M3"], shape=(4, 1), data=np.full(4, 0x38, np.uint8), scale=np.float32([0, 1, 2, 3])
    )
    assert RopePairs(num_heads=1).to_gguf(tensor).to_float32()[:, 0].tolist() == [0, 2, 1, 3]


def test_a_quantised_tensor_is_not_reshaped():
    tensor = Tensor(name="norm", type=TYPES["Q8_0"], shape=(64,), data=np.zeros(68, np.uint8))
    with pytest.raises(FormatError, match="tensor norm: expected a float type, got Q8_0"):
        Reshape(to=(2, 32)).to_gguf(tensor)


def test_identity_and_reshape_copy_nothing():
    tensor = tensor_from_float32("w", np.zeros((2, 1, 3), np.float32))
    assert IDENTITY.to_gguf(tensor) is tensor
    assert np.shares_memory(Reshape(to=(2, 3)).to_gguf(tensor).data, tensor.data)
