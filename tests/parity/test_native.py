"""The C++ engine against PyTorch on the same decoded weights, and its instruction sets against each other."""

from typing import cast, get_args

import numpy as np
import pytest

from mambino import _native
from mambino.config import HybridConfig
from mambino.engine.native import Isa, NativeLM
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor
from mambino.lm import Float32Array, Int32Array, LanguageModel
from quantised_models import QUANTISED_TYPES, quantised_model
from tiny_models import tiny_hybrid_config, tiny_llama_config, tiny_weights

pytestmark = pytest.mark.native

# Logits of order ten; float32 sums in another order.
FLOAT_TOLERANCE = 1e-4
# Eight-bit activations are off by 0.29 steps of 1/127 of a block's maximum (rms), half a percent a product; four
# layers, one of them squaring, measured 2.0 % of the spread of the logits at worst. One lost 32-block of 256 columns
# would be 35 %.
INT8_RELATIVE_ERROR = 0.04

ISAS = [
    isa
    for isa in ("reference", "avx2", "avx512")
    if get_args(Isa).index(isa) <= get_args(Isa).index(_native.best_isa())
]


def native(config: HybridConfig, hf_tensors: dict[str, Tensor], **options: object) -> NativeLM:
    tensors = {row.own: row.transform.to_gguf(hf_tensors[row.own]) for row in rows(config)}
    return NativeLM(config, tensors, threads=2, **options)  # type: ignore[arg-type]


def torch_scores(config: HybridConfig, tensors: dict[str, Tensor], tokens: Int32Array) -> Float32Array:
    from mambino.model.torch_lm import TorchLM

    model: LanguageModel = TorchLM.from_tensors(config, tensors)
    return model.score(tokens)


def some_tokens(config: HybridConfig, count: int) -> Int32Array:
    return np.random.default_rng(3).integers(0, config.vocab_size, count).astype(np.int32)


@pytest.mark.torch
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("config", [tiny_hybrid_config(), tiny_llama_config()], ids=["hybrid", "llama"])
def test_float_path_agrees_with_torch(config: HybridConfig, isa: str) -> None:
    tensors, tokens = tiny_weights(config), some_tokens(config, 130)
    scores = native(config, tensors, isa=isa, activations="float32").score(tokens)
    assert np.abs(scores - torch_scores(config, tensors, tokens)).max() < FLOAT_TOLERANCE


@pytest.mark.torch
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", QUANTISED_TYPES)
def test_float_path_decodes_every_type_as_torch_does(kind: str, isa: str) -> None:
    config, tensors = quantised_model(kind)
    tokens = some_tokens(config, 20)
    scores = native(config, tensors, isa=isa, activations="float32").score(tokens)
    assert np.abs(scores - torch_scores(config, tensors, tokens)).max() < FLOAT_TOLERANCE


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kind", QUANTISED_TYPES)
def test_int8_path_stays_near_the_float_path(kind: str, isa: str) -> None:
    config, tensors = quantised_model(kind)
    tokens = some_tokens(config, 40)
    near = native(config, tensors, isa=cast(Isa, isa)).score(tokens)
    exact = native(config, tensors, isa=cast(Isa, isa), activations="float32").score(tokens)
    assert np.sqrt(np.mean((near - exact) ** 2)) < INT8_RELATIVE_ERROR * exact.std()


@pytest.mark.parametrize("kind", ["BF16", "F16"])
def test_half_precision_weights_agree_with_the_same_values_in_float32(kind: str) -> None:
    config = tiny_hybrid_config()
    halves = {name: _rounded(tensor, kind) for name, tensor in tiny_weights(config).items()}
    full = {name: _rounded(tensor, "F32") for name, tensor in halves.items()}
    tokens = some_tokens(config, 40)
    scores = native(config, halves, activations="float32").score(tokens)
    assert np.abs(scores - native(config, full, activations="float32").score(tokens)).max() < FLOAT_TOLERANCE


def _rounded(tensor: Tensor, kind: str) -> Tensor:
    from mambino.quant.encode import encode
    from mambino.quant.types import TYPES

    if len(tensor.shape) != 2:
        return tensor
    return Tensor(
        name=tensor.name,
        type=TYPES[kind],
        shape=tensor.shape,
        data=encode(TYPES[kind], tensor.to_float32()).reshape(-1),
    )
