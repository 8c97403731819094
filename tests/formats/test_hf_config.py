"""config.json: both spellings of every key, strictness, and the circle with transformers."""

import json
import math
from dataclasses import replace

import pytest

from mambino.config import AttentionSpec, MambaSpec, MlpSpec
from mambino.errors import ConfigError, MambinoError, Unsupported
from mambino.formats.hf_config import has_hf_sizes, read_hf_config, write_hf_config
from mambino.presets import PRESETS, preset
from refusals import refusal
from tiny_models import tiny_hybrid_config, tiny_llama_config

NANO = preset("nemotron-3-nano-4b")
KINDS = {"M": "mamba", "*": "attention", "-": "mlp"}
NEW_KINDS = {"M": "linear_attention", "*": "full_attention", "-": "mlp"}

# The keys of the published file, as architecture.md lists them.
PUBLISHED = {
    "architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "auto_map": {"AutoConfig": "x"},
    "hidden_size": 3136, "num_hidden_layers": 42, "hybrid_override_pattern": NANO.pattern, "intermediate_size": 12544,
    "mlp_hidden_act": "relu2", "mlp_bias": False, "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
    "attention_head_dim": 128, "attention_bias": False, "attention_dropout": 0.0, "hidden_dropout": 0.0,
    "mamba_num_heads": 96, "mamba_head_dim": 80, "expand": 2, "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4,
    "use_conv_bias": True, "mamba_proj_bias": False, "use_bias": False, "chunk_size": 256, "mamba_hidden_act": "silu",
    "mamba_ssm_cache_dtype": "float32", "time_step_min": 0.001, "time_step_max": 0.1, "time_step_floor": 1e-4,
    "time_step_limit": [0.0, math.inf], "layer_norm_epsilon": 1e-5, "rms_norm_eps": 1e-5, "residual_in_fp32": False,
    "rescale_prenorm_residual": True, "initializer_range": 0.02, "vocab_size": 131072, "tie_word_embeddings": False,
    "max_position_embeddings": 262144, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    "torch_dtype": "bfloat16", "use_cache": True, "num_logits_to_keep": 1, "use_mamba_kernels": True,
    "sliding_window": None, "transformers_version": "4.48.0",
}  # fmt: skip

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536, "hidden_act": "silu",
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100000, "rope_scaling": None,
    "tie_word_embeddings": True, "vocab_size": 49152, "bos_token_id": 1, "eos_token_id": [2, 0], "pretraining_tp": 1,
    "attention_bias": False, "mlp_bias": False, "rope_interleaved": False,
}  # fmt: skip


def without(document, *keys):
    return {key: value for key, value in document.items() if key not in keys}


def test_the_published_4b_reads_as_the_preset():
    assert read_hf_config(PUBLISHED) == replace(NANO, eos_token_ids=(2,))


def test_the_spellings_of_transformers_5_read_the_same():
    renamed = without(PUBLISHED, "hybrid_override_pattern", "num_hidden_layers", "attention_head_dim", "rms_norm_eps")
    for kinds in (KINDS, NEW_KINDS):
        renamed["layers_block_type"] = [kinds[letter] for letter in NANO.pattern]
        assert read_hf_config(renamed) == read_hf_config(PUBLISHED)


def test_the_oldest_spellings_read_the_same():
    old = without(PUBLISHED, "n_groups", "conv_kernel", "time_step_limit", "head_dim", "layer_norm_epsilon", "expand")
    old |= {"mamba_n_groups": 8, "mamba_d_conv": 4, "mamba_dt_limit": [0.0, "inf"], "mamba_expand": 2}
    assert read_hf_config(old) == read_hf_config(PUBLISHED)


@pytest.mark.parametrize("infinity", [math.inf, "Infinity", "inf", {"__float__": "Infinity"}])
def test_every_spelling_of_infinity_means_no_clamp(infinity):
    config = read_hf_config(PUBLISHED | {"time_step_limit": [0, infinity]})
    assert config.layers[0].time_step_limit == (0.0, math.inf)


def test_a_finite_time_step_limit_is_kept():
    config = read_hf_config(PUBLISHED | {"time_step_limit": [0.001, 0.1]})
    assert config.layers[0].time_step_limit == (0.001, 0.1)
    assert read_hf_config(write_hf_config(config)) == config


def test_an_absent_time_step_limit_means_no_clamp():
    assert read_hf_config(without(PUBLISHED, "time_step_limit")) == read_hf_config(PUBLISHED)


def test_a_llama_reads_as_pairs_of_layers():
    config = read_hf_config(LLAMA)
    assert config.pattern == "*-" * 30
    assert config.layers[0] == AttentionSpec(num_heads=9, num_kv_heads=3, head_dim=64, rope_theta=100000.0)
    assert config.layers[1] == MlpSpec(intermediate_size=1536, activation="swiglu")
    assert (config.tie_embeddings, config.eos_token_ids) == (True, (2, 0))


def test_both_spellings_of_rope_read_the_same():
    new = without(LLAMA, "rope_theta", "rope_scaling")
    new["rope_parameters"] = {"rope_type": "default", "rope_theta": 100000.0}
    assert read_hf_config(new) == read_hf_config(LLAMA)
    assert read_hf_config(LLAMA | new) == read_hf_config(LLAMA)


UNSUPPORTED = [
    (PUBLISHED, {"attention_bias": True}, "attention_bias: only False is supported, got True"),
    (PUBLISHED, {"mlp_bias": True}, "mlp_bias"),
    (PUBLISHED, {"mamba_proj_bias": True}, "mamba_proj_bias"),
    (PUBLISHED, {"use_bias": True}, "use_bias"),
    (PUBLISHED, {"use_conv_bias": False}, "use_conv_bias"),
    (PUBLISHED, {"mlp_hidden_act": "silu"}, "mlp_hidden_act: only 'relu2'"),
    (PUBLISHED, {"mamba_hidden_act": "gelu"}, "mamba_hidden_act"),
    (PUBLISHED, {"sliding_window": 4096}, "sliding_window"),
    (PUBLISHED, {"num_nextn_predict_layers": 1}, "num_nextn_predict_layers"),
    (PUBLISHED, {"hybrid_override_pattern": "ME*E"}, r"hybrid_override_pattern\[1\]: mixture of experts"),
    (PUBLISHED, {"hybrid_override_pattern": None, "layers_block_type": ["moe"]}, r"layers_block_type\[0\]: mixture of"),
    (
        PUBLISHED,
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        "quantization_config: method 'bitsandbytes'",
    ),
    (PUBLISHED, {"model_type": "mamba2"}, "model_type: 'mamba2' is not supported"),
    (LLAMA, {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "RoPE scaling of type 'llama3'"),
    (LLAMA, {"rope_scaling": {"type": "linear", "factor": 2.0}}, "RoPE scaling of type 'linear'"),
    (LLAMA, {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "RoPE scaling of type 'yarn'"),
    (LLAMA, {"attention_bias": True}, "attention_bias"),
    (LLAMA, {"hidden_act": "gelu"}, "hidden_act"),
    (LLAMA, {"pretraining_tp": 2}, "pretraining_tp"),
]
CONTRADICTORY = [
    (PUBLISHED, {"head_dim": 64}, "head_dim: contradicts attention_head_dim: 64 and 128"),
    (PUBLISHED, {"num_hidden_layers": 41}, "num_hidden_layers: 41 contradicts the layer list, which has 42"),
    (PUBLISHED, {"layers_block_type": ["mamba"] * 42}, "the spellings disagree"),
    (PUBLISHED, {"rms_norm_eps": 1e-6}, "layer_norm_epsilon: contradicts rms_norm_eps"),
    (PUBLISHED, {"hybrid_override_pattern": "MX"}, r"hybrid_override_pattern\[1\]: expected one of"),
    (PUBLISHED, {"hybrid_override_pattern": None}, "expected this key or layers_block_type"),
    (PUBLISHED, {"hybrid_override_pattern": 7}, "expected the kind of every layer, got 7"),
    (PUBLISHED, {"hybrid_override_pattern": "", "num_hidden_layers": 0}, "at least one layer"),
    (PUBLISHED, {"mamba_num_heads": None}, "mamba_num_heads: expected an integer, got nothing"),
    (PUBLISHED, {"mamba_num_heads": 95}, "95 heads in 8 groups"),
    (PUBLISHED, {"mamba_num_heads": True}, "mamba_num_heads: expected an integer, got True"),
    (PUBLISHED, {"vocab_size": "131072"}, "vocab_size: expected an integer, got '131072'"),
    (PUBLISHED, {"layer_norm_epsilon": math.nan, "rms_norm_eps": None}, "layer_norm_epsilon: expected a finite number"),
    (PUBLISHED, {"time_step_limit": [0.5]}, r"time_step_limit: expected \[low, high\]"),
    (PUBLISHED, {"time_step_limit": [0.5, 0.1]}, "time_step_limit: expected 0 <= low < high"),
    (PUBLISHED, {"time_step_limit": [None, 0.1]}, "time_step_limit: expected numbers"),
    (PUBLISHED, {"eos_token_id": "</s>"}, "eos_token_id: expected token ids"),
    (PUBLISHED, {"eos_token_id": 131072}, "special token id 131072 is outside"),
    (PUBLISHED, {"tie_word_embeddings": 1}, "tie_word_embeddings: expected true or false"),
    (PUBLISHED, {"mambino_layers": [{"kind": "mlp"}]}, "states every layer, so remove mamba_num_heads"),
    (PUBLISHED, {"logit_scale": 2.0, "attn_softcap": 5}, "unknown keys attn_softcap, logit_scale"),
    (LLAMA, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}, "the spellings disagree"),
    (LLAMA, {"rope_parameters": {"rope_type": "default", "beta": 1}}, "rope_parameters: unknown keys beta"),
    (LLAMA, {"num_hidden_layers": 10**9}, "num_hidden_layers: expected 1 to 4096"),
    (LLAMA, {"num_attention_heads": 7}, "hidden_size 576 is not a multiple of 7 heads"),
    (LLAMA, {"num_attention_heads": 0}, "not a multiple of 0 heads"),
    (LLAMA, {"ssm_state_size": 16}, "unknown keys ssm_state_size"),
]


@pytest.mark.parametrize(("document", "change", "message"), UNSUPPORTED)
def test_an_unsupported_feature_is_named(document, change, message):
    with pytest.raises(Unsupported, match=message):
        read_hf_config(document | change)


@pytest.mark.parametrize(("document", "change", "message"), CONTRADICTORY)
def test_a_contradiction_is_named(document, change, message):
    with pytest.raises(ConfigError, match=message):
        read_hf_config(document | change)


@pytest.mark.parametrize(
    "value", [None, -1, 0, 1e400, "x", [], {}, True, [None], 2**70, 10**400], ids=lambda value: repr(value)[:9]
)
@pytest.mark.parametrize("document", [PUBLISHED, LLAMA], ids=["nemotron_h", "llama"])
def test_any_value_in_any_key_reads_or_raises_one_of_ours(document, value):
    for key in document:
        message = refusal(read_hf_config, document | {key: value})
        assert message[:7] in ("", "[config")


@pytest.mark.parametrize(
    "config", [*PRESETS.values(), tiny_hybrid_config(), tiny_llama_config(), read_hf_config(LLAMA)]
)
def test_what_is_written_is_read_back(config):
    written = json.loads(json.dumps(write_hf_config(config), allow_nan=False))
    assert read_hf_config(written) == config


def test_only_an_uneven_model_lists_its_layers():
    assert "mambino_layers" not in write_hf_config(NANO)
    written = write_hf_config(tiny_hybrid_config())
    assert len(written["mambino_layers"]) == 7
    assert "hybrid_override_pattern" not in written
    assert (has_hf_sizes(NANO), has_hf_sizes(tiny_hybrid_config())) == (True, False)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "moe"}, r"mambino_layers\[0\]: kind: expected mamba, attention or mlp, got 'moe'"),
        ({"kind": "mlp", "intermediate_size": 8}, r"mambino_layers\[0\]: activation: expected a string"),
        ({"kind": "mlp", "intermediate_size": 8, "activation": "gelu"}, "activation: expected relu2 or swiglu"),
        ({"kind": "mlp", "intermediate_size": 8, "activation": "relu2", "bias": True}, "unknown keys bias"),
        ({"kind": "attention", "num_heads": 4, "num_kv_heads": 3, "head_dim": 2}, "divide evenly"),
        (7, "expected one object a layer"),
    ],
)
def test_a_wrong_layer_entry_is_named(entry, message):
    document = write_hf_config(tiny_hybrid_config()) | {"mambino_layers": [entry], "num_hidden_layers": 1}
    with pytest.raises(MambinoError, match=message):
        read_hf_config(document)


@pytest.mark.torch
@pytest.mark.parametrize("config", [NANO, preset("nemotron-h-8b"), read_hf_config(LLAMA)])
def test_transformers_reads_what_we_write_and_we_read_what_it_writes(config, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps(write_hf_config(config)))
    classes = {"nemotron_h": transformers.NemotronHConfig, "llama": transformers.LlamaConfig}
    theirs = classes[config.architecture].from_pretrained(tmp_path)
    if config.architecture == "nemotron_h":
        assert theirs.hybrid_override_pattern == config.pattern
        assert (theirs.mamba_num_heads, theirs.n_groups) == (config.layers[0].num_heads, config.layers[0].num_groups)
    theirs.save_pretrained(tmp_path / "again")
    assert read_hf_config(json.loads((tmp_path / "again" / "config.json").read_text())) == config


def test_a_clamped_mamba_layer_among_others_is_uneven():
    clamped = MambaSpec(
        num_heads=2, head_dim=2, state_size=2, num_groups=1, conv_kernel=2, time_step_limit=(0.1, math.inf)
    )
    config = replace(tiny_hybrid_config(), layers=(*tiny_hybrid_config().layers, clamped))
    assert read_hf_config(json.loads(json.dumps(write_hf_config(config), allow_nan=False))) == config
