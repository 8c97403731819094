"""The table of names: complete, unambiguous, and in the words of the formats."""

import pytest

from mambino.config import AttentionSpec, HybridConfig, MlpSpec
from mambino.errors import ConfigError
from mambino.formats.names import rows
from mambino.formats.transforms import IDENTITY, RopePairs
from mambino.presets import PRESETS
from tiny_models import tiny_hybrid_config, tiny_llama_config

CONFIGS = [*PRESETS.values(), tiny_hybrid_config(), tiny_llama_config()]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_shapes_of_the_rows_add_up_to_the_parameter_count(config):
    total = 0
    for row in rows(config):
        size = 1
        for dim in row.shape:
            size *= dim
        total += size
    assert total == config.num_parameters


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("column", ["own", "hf", "gguf"])
def test_no_name_occurs_twice(config, column):
    names = [getattr(row, column) for row in rows(config)]
    assert len(set(names)) == len(names)


def test_the_4b_has_263_tensors():
    assert len(rows(PRESETS["nemotron-3-nano-4b"])) == 263


def test_a_mamba_layer_is_named_and_shaped_as_published():
    table = {row.own: row for row in rows(PRESETS["nemotron-3-nano-4b"])}
    published = {
        "in_proj.weight": ("ssm_in.weight", (17504, 3136), (17504, 3136)),
        "conv1d.weight": ("ssm_conv1d.weight", (9728, 1, 4), (9728, 4)),
        "conv1d.bias": ("ssm_conv1d.bias", (9728,), (9728,)),
        "A_log": ("ssm_a", (96,), (96, 1)),
        "D": ("ssm_d", (96,), (96, 1)),
        "dt_bias": ("ssm_dt.bias", (96,), (96,)),
        "norm.weight": ("ssm_norm.weight", (7680,), (8, 960)),
        "out_proj.weight": ("ssm_out.weight", (3136, 7680), (3136, 7680)),
    }
    for part, (gguf_part, hf_shape, gguf_shape) in published.items():
        row = table[f"layers.40.mixer.{part}"]
        assert row.hf == f"backbone.layers.40.mixer.{part}"
        assert row.gguf == f"blk.40.{gguf_part}"
        assert (row.stored_shape("hf"), row.stored_shape("gguf")) == (hf_shape, gguf_shape)


def test_a_llama_block_is_two_layers():
    table = {row.own: (row.hf, row.gguf) for row in rows(tiny_llama_config())}
    assert table["layers.2.norm.weight"] == ("model.layers.1.input_layernorm.weight", "blk.1.attn_norm.weight")
    assert table["layers.3.norm.weight"] == ("model.layers.1.post_attention_layernorm.weight", "blk.1.ffn_norm.weight")
    assert table["layers.2.mixer.o_proj.weight"] == (
        "model.layers.1.self_attn.o_proj.weight",
        "blk.1.attn_output.weight",
    )
    assert table["layers.3.mixer.gate_proj.weight"] == ("model.layers.1.mlp.gate_proj.weight", "blk.1.ffn_gate.weight")
    assert table["norm_f.weight"] == ("model.norm.weight", "output_norm.weight")


def test_only_rotated_queries_and_keys_are_permuted_each_by_its_own_heads():
    llama = {row.own: row.transform for row in rows(tiny_llama_config()) if row.transform is not IDENTITY}
    heads = {"q_proj": RopePairs(num_heads=6), "k_proj": RopePairs(num_heads=2)}
    assert llama == {f"layers.{i}.mixer.{part}.weight": transform for i in (0, 2) for part, transform in heads.items()}
    for row in rows(PRESETS["nemotron-3-nano-4b"]):
        assert not isinstance(row.transform, RopePairs)


def test_a_tied_head_has_no_row():
    assert "lm_head.weight" not in {row.own for row in rows(tiny_llama_config())}


def test_a_llama_that_is_not_pairs_is_refused():
    attention = AttentionSpec(num_heads=1, num_kv_heads=1, head_dim=2, rope_theta=1e4)
    config = HybridConfig(
        architecture="llama",
        layers=(attention, attention, MlpSpec(intermediate_size=4, activation="swiglu")),
        hidden_size=2,
        vocab_size=3,
        norm_eps=1e-5,
        tie_embeddings=True,
        max_context=8,
    )
    with pytest.raises(ConfigError, match=r"pairs of attention and MLP, got the pattern \*\*-"):
        rows(config)
