"""GGUF metadata: scalars or arrays, the layer typing rule, strictness, and the circle."""

from dataclasses import replace

import gguf
import numpy as np
import pytest

from mambino.config import AttentionSpec, MlpSpec
from mambino.errors import ConfigError, FormatError, Unsupported
from mambino.formats.gguf_config import read_gguf_config, write_gguf_metadata
from mambino.formats.gguf_read import open_gguf
from mambino.formats.gguf_write import write_gguf
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.presets import PRESETS, preset
from mambino.quant.types import TYPES
from refusals import refusal
from tiny_models import tiny_hybrid_config, tiny_llama_config

NANO = preset("nemotron-3-nano-4b")
MLP_SIZES = [12544 if letter == "-" else 0 for letter in NANO.pattern]
KV_HEADS = [8 if letter == "*" else 0 for letter in NANO.pattern]

# The keys of NVIDIA's own file, as gguf.md lists them.
OFFICIAL = {
    "general.architecture": "nemotron_h", "general.file_type": 15, "nemotron_h.block_count": 42,
    "nemotron_h.context_length": 262144, "nemotron_h.embedding_length": 3136,
    "nemotron_h.feed_forward_length": np.array(MLP_SIZES, np.int32), "nemotron_h.attention.head_count": 40,
    "nemotron_h.attention.head_count_kv": np.array(KV_HEADS, np.int32), "nemotron_h.attention.key_length": 128,
    "nemotron_h.attention.value_length": 128, "nemotron_h.attention.layer_norm_rms_epsilon": float(np.float32(1e-5)),
    "nemotron_h.attention.layer_norm_epsilon": float(np.float32(1e-5)), "nemotron_h.rope.dimension_count": 78,
    "nemotron_h.rope.scaling.finetuned": False, "nemotron_h.vocab_size": 131072, "nemotron_h.ssm.conv_kernel": 4,
    "nemotron_h.ssm.state_size": 128, "nemotron_h.ssm.group_count": 8, "nemotron_h.ssm.inner_size": 7680,
    "nemotron_h.ssm.time_step_rank": 96, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.eot_token_id": 11,
}  # fmt: skip


def skeleton(config):
    """Tensors with the right names and rows, almost no bytes: a scalar scale stands for the data."""
    one = tensor_from_float32("x", np.zeros((1, 1), np.float32))
    tensors = {row.gguf: one for row in rows(config)}
    rows_only = np.broadcast_to(np.zeros(1, np.uint8), (config.vocab_size,)).copy()
    embeddings = Tensor(name="t", type=TYPES["F8_E4M3"], shape=(config.vocab_size, 1), data=rows_only)
    return tensors | {"token_embd.weight": embeddings}


NANO_TENSORS = skeleton(NANO)
LLAMA_TENSORS = skeleton(tiny_llama_config())
LLAMA = write_gguf_metadata(tiny_llama_config())


def test_the_official_metadata_reads_as_the_preset():
    assert read_gguf_config(OFFICIAL, NANO_TENSORS) == NANO


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.uint64])
def test_arrays_of_any_integer_type_read_the_same(dtype):
    arrays = {
        key: np.asarray(value).astype(dtype) if np.ndim(value) else np.full(42, value, dtype)
        for key, value in OFFICIAL.items()
        if key.startswith(
            ("nemotron_h.attention.head", "nemotron_h.feed", "nemotron_h.ssm", "nemotron_h.attention.key")
        )
    }
    assert read_gguf_config(OFFICIAL | arrays, NANO_TENSORS) == NANO


def test_vocabulary_size_may_come_from_the_embeddings():
    metadata = {key: value for key, value in OFFICIAL.items() if key != "nemotron_h.vocab_size"}
    assert read_gguf_config(metadata, NANO_TENSORS) == NANO


def test_a_missing_output_matrix_means_tied():
    tensors = {name: tensor for name, tensor in NANO_TENSORS.items() if name != "output.weight"}
    assert read_gguf_config(OFFICIAL, tensors) == replace(NANO, tie_embeddings=True)


def test_norm_epsilon_is_the_decimal_that_was_meant():
    assert read_gguf_config(OFFICIAL, NANO_TENSORS).norm_eps == 1e-5


@pytest.mark.parametrize("config", [*PRESETS.values(), tiny_hybrid_config(), tiny_llama_config()])
def test_what_is_written_is_read_back_through_a_file(config, tmp_path):
    write_gguf(tmp_path / "m.gguf", write_gguf_metadata(config), [])
    metadata = open_gguf(tmp_path / "m.gguf").metadata
    assert read_gguf_config(metadata, skeleton(config)) == config


def test_our_keys_are_those_of_the_gguf_package():
    known = {value.replace("{arch}", "nemotron_h") for group in vars(gguf.Keys).values() if isinstance(group, type)
             for value in vars(group).values() if isinstance(value, str)}  # fmt: skip
    unknown = set(write_gguf_metadata(NANO)) - known
    assert unknown == set()


WRONG = [
    (OFFICIAL, {"general.architecture": None}, ConfigError, "general.architecture: expected a string, got nothing"),
    (OFFICIAL, {"general.architecture": "nemotron_h_moe"}, Unsupported, "'nemotron_h_moe' is not supported"),
    (OFFICIAL, {"nemotron_h.block_count": 0}, ConfigError, "block_count: 0 blocks"),
    (OFFICIAL, {"nemotron_h.block_count": 2**32 - 1}, ConfigError, "4294967295 blocks cannot be in 263 tensors"),
    (OFFICIAL, {"nemotron_h.block_count": 41}, ConfigError, "expected one integer for each of 41 layers"),
    (OFFICIAL, {"nemotron_h.embedding_length": -1}, ConfigError, "hidden_size: expected a positive integer"),
    (OFFICIAL, {"nemotron_h.attention.head_count_kv": 8}, ConfigError, "layer 1 has both an MLP and attention"),
    (OFFICIAL, {"nemotron_h.attention.head_count": 39}, ConfigError, "got 39 over 8"),
    (OFFICIAL, {"nemotron_h.attention.value_length": 64}, Unsupported, "value_length: differs"),
    (OFFICIAL, {"nemotron_h.ssm.time_step_rank": 97}, ConfigError, "layer 0: 7680 is not a multiple of 97 heads"),
    (OFFICIAL, {"nemotron_h.ssm.time_step_rank": 0}, ConfigError, "not a multiple of 0 heads"),
    (OFFICIAL, {"nemotron_h.ssm.inner_size": None}, ConfigError, "ssm.inner_size: expected an integer, got nothing"),
    (OFFICIAL, {"nemotron_h.ssm.inner_size": 0}, ConfigError, "head_dim: expected a positive integer"),
    (OFFICIAL, {"nemotron_h.ssm.group_count": 7}, ConfigError, "96 heads in 7 groups"),
    (OFFICIAL, {"nemotron_h.expert_count": 8}, Unsupported, "expert_count: only 0 is supported"),
    (OFFICIAL, {"nemotron_h.logit_scale": 0.5}, ConfigError, "unknown keys nemotron_h.logit_scale"),
    (OFFICIAL, {"nemotron_h.feed_forward_length": np.zeros((2, 2), np.int32)}, ConfigError, "expected an integer"),
    (OFFICIAL, {"tokenizer.ggml.eos_token_id": 131072}, ConfigError, "token id 131072 is outside"),
    (LLAMA, {"llama.rope.scaling.type": "linear"}, Unsupported, "rope.scaling.type: only 'none'"),
    (LLAMA, {"llama.rope.scaling.factor": 4.0}, Unsupported, "rope.scaling.factor"),
    (LLAMA, {"llama.rope.dimension_count": 4}, Unsupported, "partial RoPE"),
    (LLAMA, {"llama.rope.freq_base": float("nan")}, ConfigError, "rope.freq_base: expected a finite number"),
    (LLAMA, {"llama.attention.sliding_window": 512}, ConfigError, "unknown keys llama.attention.sliding_window"),
]  # fmt: skip


@pytest.mark.parametrize(("metadata", "change", "error", "message"), WRONG)
def test_what_is_wrong_is_named(metadata, change, error, message):
    tensors = NANO_TENSORS if metadata is OFFICIAL else LLAMA_TENSORS
    with pytest.raises(error, match=message):
        read_gguf_config(metadata | change, tensors)


@pytest.mark.parametrize(
    "value", [None, -1, 0, 2**64 - 1, float("inf"), "x", True, np.array([1, 2]), np.zeros(0)], ids=repr
)
@pytest.mark.parametrize("metadata", [OFFICIAL, LLAMA], ids=["nemotron_h", "llama"])
def test_any_value_in_any_key_reads_or_raises_one_of_ours(metadata, value):
    tensors = NANO_TENSORS if metadata is OFFICIAL else LLAMA_TENSORS
    for key in metadata:
        message = refusal(read_gguf_config, metadata | {key: value}, tensors)
        assert message[:1] in ("", "[")


def test_missing_embeddings_are_named():
    with pytest.raises(FormatError, match=r"token_embd\.weight: missing"):
        read_gguf_config(OFFICIAL, {f"t{i}": NANO_TENSORS["output.weight"] for i in range(100)})


def test_what_gguf_cannot_say_is_not_written():
    clamped = replace(NANO.layers[0], time_step_limit=(0.0, 0.1))
    rotated = AttentionSpec(num_heads=4, num_kv_heads=4, head_dim=2, rope_theta=1e4)
    gated = MlpSpec(intermediate_size=8, activation="swiglu")
    for layer, message in [(clamped, "time_step_limit"), (rotated, "neither RoPE"), (gated, "neither RoPE")]:
        with pytest.raises(Unsupported, match=message):
            write_gguf_metadata(replace(NANO, layers=(layer,)))
    unequal = (rotated, gated, replace(rotated, rope_theta=2e4), gated)
    with pytest.raises(Unsupported, match="one rope_theta for all layers"):
        write_gguf_metadata(replace(tiny_llama_config(), layers=unequal))
    with pytest.raises(ConfigError, match="pairs of attention and SwiGLU"):
        write_gguf_metadata(replace(tiny_llama_config(), layers=(gated, rotated)))
    with pytest.raises(Unsupported, match="at most 3"):
        write_gguf_metadata(replace(NANO, eos_token_ids=(1, 2, 3, 4)))
