"""What NativeLM promises beyond the nine laws: determinism, quantised batches, and errors that name things."""

from dataclasses import replace

import numpy as np
import pytest

from mambino import _native
from mambino.config import HybridConfig
from mambino.engine.info import engine_info
from mambino.engine.native import NativeLM
from mambino.errors import FormatError, InputError, Unsupported
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import TYPES
from quantised_models import quantised_model
from tiny_models import tiny_hybrid_config, tiny_weights

pytestmark = pytest.mark.native


def gguf_form(config: HybridConfig, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {row.own: row.transform.to_gguf(tensors[row.own]) for row in rows(config)}


@pytest.fixture(scope="module")
def q5_model() -> NativeLM:
    config, tensors = quantised_model("Q5_0")
    return NativeLM(config, gguf_form(config, tensors), threads=2)


@pytest.fixture
def tensors(tiny_config: HybridConfig) -> dict[str, Tensor]:
    return gguf_form(tiny_config, tiny_weights(tiny_config))


def test_logits_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    config, weights = quantised_model("Q4_K")
    tokens = rng.integers(0, config.vocab_size, 90).astype(np.int32)
    scores = [NativeLM(config, gguf_form(config, weights), threads=threads).score(tokens) for threads in (1, 2, 5)]
    assert np.array_equal(scores[0], scores[1])
    assert np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize("counts", [(1, 1), (1, 1, 1, 1, 1, 1), (3, 1, 40), (600, 5)])
def test_sequences_extended_together_are_bitwise_each_alone(q5_model: NativeLM, counts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    tokens = [rng.integers(0, q5_model.config.vocab_size, count).astype(np.int32) for count in counts]
    together = q5_model.extend_many([q5_model.new_state(700) for _ in counts], tokens)
    for row, one in zip(together, tokens, strict=True):
        alone = q5_model.extend(q5_model.new_state(700), one)
        assert np.array_equal(row, alone)


def test_threads_may_share_a_model(q5_model: NativeLM, rng: np.random.Generator) -> None:
    from concurrent.futures import ThreadPoolExecutor

    texts = [rng.integers(0, q5_model.config.vocab_size, 30).astype(np.int32) for _ in range(8)]
    alone = [q5_model.extend(q5_model.new_state(40), text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: q5_model.extend(q5_model.new_state(40), text), texts))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_the_model_outlives_the_tensors_it_was_made_from(tiny_config: HybridConfig) -> None:
    import gc

    model = NativeLM(tiny_config, gguf_form(tiny_config, tiny_weights(tiny_config)), threads=1)
    before = model.score(np.arange(9, dtype=np.int32))
    gc.collect()
    _ = [np.full(100_000, 7.0) for _ in range(20)]
    assert np.array_equal(before, model.score(np.arange(9, dtype=np.int32)))


def test_a_missing_tensor_is_named(tiny_config: HybridConfig, tensors: dict[str, Tensor]) -> None:
    del tensors["layers.3.mixer.in_proj.weight"]
    with pytest.raises(FormatError, match=r"layers\.3\.mixer\.in_proj\.weight"):
        NativeLM(tiny_config, tensors)


def test_a_matrix_of_the_wrong_shape_is_named(tiny_config: HybridConfig, tensors: dict[str, Tensor]) -> None:
    name = "layers.1.mixer.down_proj.weight"
    tensors[name] = tensor_from_float32(name, np.zeros((37, 40), np.float32))
    with pytest.raises(FormatError, match=r"layer 1, down_proj: expected shape \(37, 41\), got \(37, 40\)"):
        NativeLM(tiny_config, tensors)


def test_a_vector_of_the_wrong_length_is_named(tiny_config: HybridConfig, tensors: dict[str, Tensor]) -> None:
    name = "layers.0.mixer.dt_bias"
    tensors[name] = tensor_from_float32(name, np.zeros(5, np.float32))
    with pytest.raises((FormatError, InputError), match="dt_bias: expected 6 values, got 5"):
        NativeLM(tiny_config, tensors)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_is_refused(
    tiny_config: HybridConfig, tensors: dict[str, Tensor], value: float
) -> None:
    weight = np.ones(37, np.float32)
    weight[5] = value
    tensors["norm_f.weight"] = replace(tensors["norm_f.weight"], data=weight.view(np.uint8))
    with pytest.raises(FormatError, match=r"norm_f\.weight"):
        NativeLM(tiny_config, tensors)


def test_a_weight_type_without_kernels_is_named_with_the_way_out(
    tiny_config: HybridConfig, tensors: dict[str, Tensor]
) -> None:
    name = "lm_head.weight"
    tensors[name] = replace(
        tensors[name], type=TYPES["F8_E4M3"], data=np.zeros(tensors[name].rows * tensors[name].cols, np.uint8)
    )
    with pytest.raises(Unsupported, match=r"lm_head\.weight.*F8_E4M3.*backend='torch'"):
        NativeLM(tiny_config, tensors)


def test_scaled_8_bit_floats_run_as_the_values_they_stand_for(
    tiny_config: HybridConfig, tensors: dict[str, Tensor], rng: np.random.Generator
) -> None:
    name, tokens = "lm_head.weight", np.arange(20, dtype=np.int32)
    codes = rng.integers(0, 0x70, tensors[name].rows * tensors[name].cols).astype(np.uint8)  # finite, positive
    float8 = replace(tensors[name], type=TYPES["F8_E4M3"], data=codes, scale=np.array(0.01, np.float32))
    scores = NativeLM(tiny_config, tensors | {name: float8}, activations="float32").score(tokens)
    decoded = tensors | {name: tensor_from_float32(name, float8.to_float32())}
    expected = NativeLM(tiny_config, decoded, activations="float32").score(tokens)
    assert np.abs(scores - expected).max() < 2**-8 * np.abs(expected).max()  # the scale is rounded into BF16's 8 bits


# Rounding keys and values to 8 bits with a scale for 32 moves logits of the order of one by less than this.
Q8_KV = 0.02


@pytest.mark.parametrize("isa", ["reference", "avx2", "best"])
def test_q8_keys_and_values_stay_close_to_float16_in_half_the_memory(isa: str, rng: np.random.Generator) -> None:
    if isa == "avx2" and _native.best_isa() == "reference":
        pytest.skip("this machine has no avx2")
    config, weights = quantised_model("Q8_0")
    tokens = rng.integers(0, config.vocab_size, 200).astype(np.int32)
    f16, q8 = (NativeLM(config, gguf_form(config, weights), isa=isa, kv=kv) for kv in ("f16", "q8"))  # type: ignore[arg-type]
    exact, close = f16.score(tokens), q8.score(tokens)
    assert 0 < np.abs(close - exact).max() < Q8_KV * np.abs(exact).max()
    grown = [lm.new_state(1032).nbytes - lm.new_state(32).nbytes for lm in (f16, q8)]
    assert grown[1] / grown[0] == 34 / 64  # a head of 64: two scales


@pytest.mark.parametrize(
    "options", [{"threads": 0}, {"threads": 10_000}, {"isa": "sse9"}, {"activations": "int3"}, {"kv": "q2"}]
)
def test_options_out_of_range_are_refused(
    tiny_config: HybridConfig, tensors: dict[str, Tensor], options: dict[str, object]
) -> None:
    with pytest.raises(InputError, match=str(next(iter(options.values())))):
        NativeLM(tiny_config, tensors, **options)  # type: ignore[arg-type]


def test_a_state_of_another_model_is_refused(q5_model: NativeLM) -> None:
    config = tiny_hybrid_config()
    other = NativeLM(config, gguf_form(config, tiny_weights(config)), threads=1)
    with pytest.raises(InputError, match="another model"):
        q5_model.extend(other.new_state(4), np.array([1], np.int32))


def test_the_same_state_twice_in_one_call_is_refused(q5_model: NativeLM) -> None:
    state = q5_model.new_state(8)
    with pytest.raises(InputError, match="twice"):
        q5_model.extend_many([state, state], [np.array([1], np.int32)] * 2)
    assert state.position == 0


def test_every_weight_type_has_an_entry_in_the_kernel_listing() -> None:
    info = engine_info()
    assert info.isa == _native.best_isa()
    assert {f"gemm.{kind}" for kind in _native.weight_types()} <= info.kernels.keys()
    assert engine_info("reference").slow_types({"Q5_0"}) == ["Q5_0"]
