"""An adapter reaches every projection, and means the same unmerged, merged, in both backends and in peft."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec
from mambino.errors import FormatError, InputError
from mambino.formats.adapter import Adapter, Factors, merged
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.formats.gguf_adapter import read_gguf_adapter, write_gguf_adapter
from mambino.formats.peft_adapter import read_peft_adapter, write_peft_adapter
from mambino.formats.tensor import tensor_from_float32
from mambino.load import model_of, open_model
from mambino.model.hybrid import HybridLM
from mambino.model.torch_lm import TorchLM
from mambino.model.weights import load_weights, weights_of
from mambino.posttrain.lora import LoraSettings, adapter_of, add_lora, attach, coverage, load_adapter, merge
from mambino.posttrain.policy import native_policy
from mambino.quant.types import TYPES
from tiny_models import tiny_hybrid_config, tiny_llama_config, tiny_weights

pytestmark = pytest.mark.torch

# What the project promises for merged == unmerged == peft, relative to the largest logit: float32 rounding is a tenth.
FLOAT32_TOLERANCE = 1e-5
TOKENS = np.arange(3, 40, dtype=np.int32)


def model_of_weights(config: HybridConfig) -> HybridLM:
    model = HybridLM(config)
    load_weights(model, tiny_weights(config))
    return model


def strong_adapter(config: HybridConfig, *, projections: tuple[str, ...] | None = None) -> Adapter:
    """Factors large enough to change every logit."""
    model = model_of_weights(config)
    settings = LoraSettings(rank=3, alpha=6.0)
    add_lora(model, settings if projections is None else replace(settings, projections=projections))
    rng = np.random.default_rng(5)
    return Adapter(
        factors={
            own: Factors(a=one.a, b=rng.normal(0, 0.3, one.b.shape).astype(np.float32), scale=one.scale)
            for own, one in adapter_of(model).factors.items()
        }
    )


def logits_with(config: HybridConfig, adapter: Adapter) -> np.ndarray:
    model = model_of_weights(config)
    attach(model, adapter)
    return TorchLM(model).score(TOKENS)


def assert_same(got: np.ndarray, expected: np.ndarray, tolerance: float = FLOAT32_TOLERANCE) -> None:
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


@pytest.fixture(params=[tiny_hybrid_config, tiny_llama_config], ids=["hybrid", "llama"])
def config(request: pytest.FixtureRequest) -> HybridConfig:
    made: HybridConfig = request.param()
    return made


def test_fresh_factors_change_nothing_and_reach_every_projection(config: HybridConfig) -> None:
    model = model_of_weights(config)
    before = TorchLM(model).score(TOKENS)
    add_lora(model, LoraSettings(rank=2))
    np.testing.assert_array_equal(TorchLM(model).score(TOKENS), before)
    reach = coverage(adapter_of(model), config.layers, config.num_parameters)
    assert (reach.layers, reach.num_layers) == (len(config.layers), len(config.layers))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trained == reach.parameters
    assert f"{len(config.layers)} of {len(config.layers)} layers" in str(reach)


def test_every_block_of_in_proj_learns_by_factors_of_its_own() -> None:
    config = tiny_hybrid_config()
    model = model_of_weights(config)
    add_lora(model, LoraSettings(rank=2))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    model(torch.from_numpy(TOKENS[None].astype(np.int64))).square().mean().backward()
    optimizer.step()
    spec = config.layers[0]
    assert isinstance(spec, MambaSpec)
    shared = spec.num_groups * spec.state_size
    rows = (spec.inner_size, spec.inner_size, shared, shared, spec.num_heads)
    b = adapter_of(model).factors["layers.0.mixer.in_proj.weight"].b
    start = 0
    for block, count in enumerate(rows):
        inside = b[start : start + count, 2 * block : 2 * block + 2]
        assert (inside != 0).any(), f"block {block} did not learn"
        assert np.count_nonzero(b[start : start + count]) == np.count_nonzero(inside)
        start += count


def test_merged_equals_unmerged(config: HybridConfig) -> None:
    adapter = strong_adapter(config)
    expected = logits_with(config, adapter)
    assert np.abs(expected - TorchLM(model_of_weights(config)).score(TOKENS)).max() > 0.5
    model = model_of_weights(config)
    attach(model, adapter)
    merge(model)
    assert_same(TorchLM(model).score(TOKENS), expected)
    assert weights_of(model).keys() == tiny_weights(config).keys()
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("form", ["peft", "gguf"])
def test_files_give_the_same_adapter_back(config: HybridConfig, form: str, tmp_path: Path) -> None:
    adapter = strong_adapter(config)
    path = tmp_path / ("adapter" if form == "peft" else "adapter.gguf")
    write, read = (write_peft_adapter, read_peft_adapter) if form == "peft" else (write_gguf_adapter, read_gguf_adapter)
    write(path, adapter, config)
    assert_same(logits_with(config, read(path, config)), logits_with(config, adapter))


def test_both_backends_apply_it_without_new_files(config: HybridConfig, tmp_path: Path) -> None:
    write_checkpoint_directory(tmp_path / "model", config, tiny_weights(config).values())
    adapter = strong_adapter(config)
    write_peft_adapter(tmp_path / "adapter", adapter, config)
    expected = logits_with(config, adapter)
    ours = open_model(tmp_path / "model", backend="torch", adapter=tmp_path / "adapter")
    assert_same(ours.score(TOKENS), expected)
    native = model_of(open_checkpoint(tmp_path / "model"), activations="float32", adapter=adapter)
    assert_same(native.score(TOKENS), expected, tolerance=1e-4)  # the engine's own float32 agreement


def test_a_quantised_weight_becomes_q8_0_where_the_adapter_touches_it(tmp_path: Path) -> None:
    config = replace(tiny_llama_config(), hidden_size=64)
    write_checkpoint_directory(tmp_path / "model", config, tiny_weights(config).values())
    plain = open_checkpoint(tmp_path / "model")
    names = ("layers.0.mixer.q_proj.weight", "layers.0.mixer.k_proj.weight")
    small = {own: tensor_from_float32(own, plain.stored[own].to_float32(), TYPES["Q4_0"]) for own in names}
    quantised = replace(plain, stored={**plain.stored, **small})
    adapter = strong_adapter(config, projections=("q_proj",))
    with_adapter = merged(quantised, adapter).stored
    assert [with_adapter[own].type.name for own in names] == ["Q8_0", "Q4_0"]
    assert with_adapter[names[1]] is small[names[1]]
    expected = small[names[0]].to_float32() + adapter.factors[names[0]].delta()
    assert_same(with_adapter[names[0]].to_float32(), expected, tolerance=0.01)  # half a step of 8 bits


def test_training_goes_on_from_a_saved_adapter() -> None:
    config = tiny_hybrid_config()
    adapter = strong_adapter(config)
    model = model_of_weights(config)
    add_lora(model, LoraSettings(rank=3))
    load_adapter(model, adapter)
    assert_same(TorchLM(model).score(TOKENS), logits_with(config, adapter))
    assert adapter_of(model).digest == adapter.digest
    other = model_of_weights(config)
    add_lora(other, LoraSettings(rank=2))
    with pytest.raises(InputError, match="other weights or ranks"):
        load_adapter(other, adapter)


def test_an_adapter_for_another_model_or_with_nan_is_refused() -> None:
    adapter = strong_adapter(tiny_llama_config())
    with pytest.raises(FormatError, match="use the model that it was trained on"):
        attach(model_of_weights(tiny_hybrid_config()), adapter)
    own, one = next(iter(adapter.factors.items()))
    broken = Adapter(factors={own: replace(one, a=one.a * np.nan)})
    with pytest.raises(FormatError, match="NaN"):
        broken.require_fit(tiny_llama_config())


@pytest.mark.slow
def test_peft_loads_it_and_agrees_but_for_out_proj(tmp_path: Path) -> None:
    """PEFT 0.21 refuses out_proj of Mamba layers by name, so the adapter compared has none."""
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    config = replace(
        tiny_hybrid_config(),
        layers=(
            MambaSpec(num_heads=6, head_dim=6, state_size=7, num_groups=3, conv_kernel=4),
            MlpSpec(intermediate_size=41, activation="relu2"),
            AttentionSpec(num_heads=6, num_kv_heads=2, head_dim=6),
        ),
        hidden_size=36,
    )
    write_checkpoint_directory(tmp_path / "model", config, tiny_weights(config).values())
    projections = ("in_proj", "q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")
    adapter = strong_adapter(config, projections=projections)
    write_peft_adapter(tmp_path / "adapter", adapter, config)
    base = transformers.NemotronHForCausalLM.from_pretrained(tmp_path / "model", dtype=torch.float32)
    base.model.layers[0].mixer.time_step_limit = (0.0, float("inf"))
    theirs = peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        got = theirs(torch.from_numpy(TOKENS[None].astype(np.int64)), use_cache=False).logits[0].numpy()
    assert_same(got, logits_with(config, adapter))

    theirs.save_pretrained(tmp_path / "theirs")
    assert_same(logits_with(config, read_peft_adapter(tmp_path / "theirs", config)), got)


def test_the_engine_samples_with_the_adapter_that_is_being_trained() -> None:
    config = tiny_hybrid_config()
    adapter = strong_adapter(config)
    model = model_of_weights(config)
    attach(model, adapter)
    sampler = native_policy(activations="float32", threads=1)(model)
    assert_same(sampler.score(TOKENS), logits_with(config, adapter), tolerance=1e-4)  # the engine's float32 agreement
