"""What export writes opens again with the same values, in the formats asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec
from mambino.errors import InputError, Unsupported
from mambino.export.gguf import as_stored, export_gguf, matrices_as
from mambino.formats.checkpoint import Checkpoint, open_checkpoint, write_checkpoint_directory
from mambino.quant.types import TYPES
from tiny_models import tiny_weights

# Q8_0 rounds to 1/254 of a block's largest value; float16 scales add 2^-11.
Q8_0_TOLERANCE = 1 / 254 + 2**-11

BLOCKY = HybridConfig(
    architecture="nemotron_h",
    layers=(
        MambaSpec(num_heads=4, head_dim=8, state_size=5, num_groups=2, conv_kernel=4),
        MlpSpec(intermediate_size=96, activation="relu2"),
        AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=8),
    ),
    hidden_size=64,
    vocab_size=33,
    norm_eps=1e-5,
    tie_embeddings=False,
    max_context=128,
    bos_token_id=1,
    eos_token_ids=(2,),
)


def saved(config: HybridConfig, folder: Path) -> Checkpoint:
    write_checkpoint_directory(folder, config, tiny_weights(config).values(), generation_defaults={"temperature": 0.5})
    return open_checkpoint(folder)


@pytest.mark.parametrize("type_name", ["f32", "f16", "bf16", "q8_0"])
def test_an_exported_model_has_the_same_config_and_values(type_name: str, tmp_path: Path) -> None:
    source = saved(BLOCKY, tmp_path / "hf")
    nbytes = export_gguf(source, tmp_path / "x.gguf", type_of=matrices_as(type_name), name="x")
    back = open_checkpoint(tmp_path / "x.gguf")
    assert nbytes == (tmp_path / "x.gguf").stat().st_size
    assert back.config == BLOCKY
    tolerance = {"f32": 0.0, "f16": 2**-11, "bf16": 2**-8, "q8_0": Q8_0_TOLERANCE}[type_name]
    converted = back.tensors("hf")
    for own, tensor in source.tensors("hf").items():
        wanted, got = tensor.to_float32(), converted[own].to_float32()
        if len(tensor.shape) == 2:
            assert back.stored[own].type.name == type_name.upper()
            np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * float(np.abs(wanted).max()))
        else:
            assert back.stored[own].type.name == "F32"
            np.testing.assert_allclose(got, wanted, rtol=1e-6)  # A_log passes through exp and log


def test_generation_defaults_become_sampling_advice(tmp_path: Path) -> None:
    export_gguf(saved(BLOCKY, tmp_path / "hf"), tmp_path / "x.gguf", type_of=matrices_as("f16"), name="x")
    assert open_checkpoint(tmp_path / "x.gguf").metadata["general.sampling.temp"] == pytest.approx(0.5)


def test_a_width_that_blocks_do_not_divide_is_refused_before_anything_is_written(
    tiny_config: HybridConfig, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="rows of 37 do not divide into Q8_0 blocks of 32"):
        export_gguf(saved(tiny_config, tmp_path / "hf"), tmp_path / "x.gguf", type_of=matrices_as("q8_0"), name="x")
    assert not (tmp_path / "x.gguf").exists()


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of F32, F16, Q8_0, BF16, got 'q2_k'"):
        matrices_as("q2_k")


def test_a_type_that_gguf_does_not_have_is_named_and_stored_as_bf16_instead(tmp_path: Path) -> None:
    source = saved(BLOCKY, tmp_path / "hf")
    name = "layers.1.mixer.up_proj.weight"
    codes = np.full(source.stored[name].rows * source.stored[name].cols, 0x38, np.uint8)
    float8 = replace(source.stored[name], type=TYPES["F8_E4M3"], data=codes, scale=np.array([0.5], np.float32))
    source = replace(source, stored={**source.stored, name: float8})
    with pytest.raises(Unsupported, match=rf"tensor {name}: GGUF has no type F8_E4M3; choose BF16 or Q8_0"):
        export_gguf(source, tmp_path / "x.gguf", type_of=lambda row: source.stored[row.own].type, name="x")
    export_gguf(source, tmp_path / "x.gguf", type_of=as_stored(source), name="x")
    written = open_checkpoint(tmp_path / "x.gguf").stored
    assert (written[name].type.name, written["layers.1.mixer.down_proj.weight"].type.name) == ("BF16", "F32")
    assert (written[name].to_float32() == 0.5).all()
