"""Adapters beside the weights mean what they mean merged into them, on every instruction set; misfits are refused."""

import numpy as np
import pytest

from mambino import _native
from mambino.config import HybridConfig, MambaSpec
from mambino.engine.native import Activations, Isa, NativeLM
from mambino.errors import FormatError, InputError, Unsupported
from mambino.formats.adapter import Adapter, Factors
from mambino.formats.names import rows
from mambino.formats.tensor import tensor_from_float32
from mambino.lm import Float32Array
from quantised_models import quantised_model
from tiny_models import tiny_adapter, tiny_hybrid_config, tiny_llama_config, tiny_weights

pytestmark = pytest.mark.native

# Relative to the largest logit: float32 sums in another order; int8 also rounds an activation the other way at times.
TOLERANCE: dict[Activations, float] = {"float32": 2e-5, "int8": 2e-2}
TOKENS = np.random.default_rng(0).integers(0, 70, 40).astype(np.int32)


def native(
    config: HybridConfig, *, adapter: Adapter | None = None, isa: Isa = "best", activations: Activations = "float32"
) -> NativeLM:
    """adapter is merged in."""
    tensors = tiny_weights(config)
    for own, one in ({} if adapter is None else adapter.factors).items():
        tensors[own] = tensor_from_float32(own, tensors[own].to_float32() + one.delta())
    gguf = {row.own: row.transform.to_gguf(tensors[row.own]) for row in rows(config)}
    return NativeLM(config, gguf, threads=2, isa=isa, activations=activations)


def scored(lm: NativeLM, adapter: Adapter) -> Float32Array:
    return lm.verify(lm.new_state(TOKENS.size, adapter), TOKENS)


def fused_adapter(config: HybridConfig) -> Adapter:
    """As training makes them: factors of their own for each matrix inside in_proj."""
    plain = tiny_adapter(config, rank=10)
    factors = dict(plain.factors)
    for index, layer in enumerate(config.layers):
        if isinstance(layer, MambaSpec):
            own = f"layers.{index}.mixer.in_proj.weight"
            b, start = np.zeros_like(factors[own].b), 0
            for part, count in enumerate(layer.in_proj_rows):
                place = slice(start, start + count), slice(2 * part, 2 * part + 2)
                b[place] = factors[own].b[place]
                start += count
            factors[own] = Factors(a=factors[own].a, b=b, scale=0.7)
    return Adapter(factors=factors)


@pytest.mark.parametrize("activations", ["float32", "int8"])
@pytest.mark.parametrize("isa", ["reference", "avx2", "avx512"])
@pytest.mark.parametrize("config", [tiny_hybrid_config(), tiny_llama_config()], ids=["hybrid", "llama"])
def test_unmerged_is_merged(config: HybridConfig, isa: Isa, activations: Activations) -> None:
    if ["reference", "avx2", "avx512"].index(isa) > ["reference", "avx2", "avx512"].index(_native.best_isa()):
        pytest.skip(f"this machine has no {isa}")
    lm = native(config, isa=isa, activations=activations)
    for adapter in (tiny_adapter(config), fused_adapter(config)):
        expected = native(config, adapter=adapter, isa=isa, activations=activations).score(TOKENS)
        assert np.abs(expected - lm.score(TOKENS)).max() > 1.0
        assert np.abs(scored(lm, adapter) - expected).max() <= TOLERANCE[activations] * np.abs(expected).max()


def test_quantised_weights_take_an_adapter_too() -> None:
    config, tensors = quantised_model("Q4_K")
    adapter = tiny_adapter(config)
    lm = NativeLM(
        config, {row.own: row.transform.to_gguf(tensors[row.own]) for row in rows(config)}, activations="float32"
    )
    added = dict(tensors)
    for own, one in adapter.factors.items():
        added[own] = tensor_from_float32(own, tensors[own].to_float32() + one.delta())
    merged = NativeLM(
        config, {row.own: row.transform.to_gguf(added[row.own]) for row in rows(config)}, activations="float32"
    )
    expected = merged.score(TOKENS)
    assert np.abs(scored(lm, adapter) - expected).max() <= TOLERANCE["float32"] * np.abs(expected).max()


def test_an_adapter_that_is_gone_from_python_still_serves_its_states() -> None:
    config = tiny_hybrid_config()
    lm = native(config)
    expected = scored(lm, tiny_adapter(config))
    state = lm.new_state(TOKENS.size, tiny_adapter(config))
    tiny_adapter(config, 2)
    np.testing.assert_array_equal(lm.verify(state, TOKENS), expected)


def test_an_adapter_of_another_model_is_refused() -> None:
    lm = native(tiny_hybrid_config())
    with pytest.raises(FormatError, match=r"\[adapter\] layers.0.*made for a weight of shape"):
        lm.new_state(8, tiny_adapter(tiny_llama_config()))


def test_what_only_merging_can_change_is_refused_by_name() -> None:
    config = tiny_hybrid_config()
    head = Factors(a=np.ones((2, 37), np.float32), b=np.ones((101, 2), np.float32), scale=1.0)
    with pytest.raises(Unsupported, match=r"lm_head.weight.*merge this adapter"):
        native(config).new_state(8, Adapter(factors={"lm_head.weight": head}))


def test_only_adapters_are_taken() -> None:
    class Named:
        digest, nbytes = "ab", 2

    with pytest.raises(InputError, match="expected an Adapter"):
        native(tiny_hybrid_config()).new_state(8, Named())
