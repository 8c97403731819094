"""Weights in and out: nothing lost, and every wrong set of tensors named."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mambino.errors import FormatError
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.model.hybrid import HybridLM
from mambino.model.weights import load_weights, weights_of
from mambino.quant.types import TYPES
from tiny_models import tiny_hybrid_config, tiny_weights

pytestmark = pytest.mark.torch

CONFIG = tiny_hybrid_config()
NORM = "layers.4.norm.weight"


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return tiny_weights(CONFIG)


def load(weights: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> HybridLM:
    model = HybridLM(CONFIG, device="meta", dtype=dtype)
    load_weights(model, weights, device="cpu")
    return model


def test_what_goes_in_comes_out_bit_for_bit(weights: dict[str, Tensor]) -> None:
    out = weights_of(load(weights))
    assert out.keys() == weights.keys()
    for name, tensor in out.items():
        assert (tensor.type.name, tensor.shape) == ("F32", weights[name].shape)
        assert np.array_equal(tensor.data, weights[name].data)


def test_bfloat16_weights_survive_a_bfloat16_model_bit_for_bit(weights: dict[str, Tensor]) -> None:
    halved = {name: tensor_from_float32(name, tensor.to_float32(), TYPES["BF16"]) for name, tensor in weights.items()}
    for name, tensor in weights_of(load(halved, torch.bfloat16)).items():
        assert tensor.type.name == ("BF16" if len(tensor.shape) == 2 else "F32")
        assert np.array_equal(tensor.to_float32(), halved[name].to_float32())


def test_loaded_weights_can_be_trained_on(weights: dict[str, Tensor]) -> None:
    model = load(weights)
    torch.autograd.backward(model(torch.arange(5)[None]).sum())
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert np.array_equal(weights[NORM].to_float32(), tiny_weights(CONFIG)[NORM].to_float32())


def test_missing_and_left_over_tensors_are_listed(weights: dict[str, Tensor]) -> None:
    weights["layers.7.norm.weight"] = weights.pop(NORM)
    with pytest.raises(FormatError, match=r"missing layers\.4\.norm\.weight; left over layers\.7\.norm\.weight"):
        load(weights)


def test_a_wrong_shape_is_named_with_both_shapes(weights: dict[str, Tensor]) -> None:
    weights[NORM] = replace(weights[NORM], shape=(1, 37))
    with pytest.raises(FormatError, match=r"layers\.4\.norm\.weight: expected shape \(37,\), got \(1, 37\)"):
        load(weights)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named(weights: dict[str, Tensor], bad: float) -> None:
    name = "layers.0.mixer.in_proj.weight"
    values = weights[name].to_float32()
    values[3, 5] = bad
    weights[name] = replace(weights[name], data=values.reshape(-1).view(np.uint8))
    with pytest.raises(FormatError, match=r"layers\.0\.mixer\.in_proj\.weight: holds NaN or infinite"):
        load(weights)


def test_weights_too_large_for_the_dtype_are_named_and_large_ones_are_not(weights: dict[str, Tensor]) -> None:
    values = np.full((101, 37), 3e38, dtype=np.float32)
    weights["lm_head.weight"] = tensor_from_float32("lm_head.weight", values)
    load(weights)
    with pytest.raises(FormatError, match=r"lm_head\.weight: .* too narrow"):
        load(weights, torch.float16)
