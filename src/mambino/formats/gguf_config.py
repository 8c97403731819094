"""GGUF metadata <-> HybridConfig.

A per-layer number may be one scalar for all or an array; an uneven model uses arrays. Unknown keys of the
architecture are refused by name. Tensor shapes are checked against the result in checkpoint.py. Start at
read_gguf_config.

Source: ggml-org/llama.cpp gguf-py/gguf/constants.py and conversion of nemotron_h and llama
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mambino.config import Architecture, AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import ConfigError, FormatError, Unsupported
from mambino.formats.keys import Keys
from mambino.formats.tensor import Tensor

_DEFAULT_ROPE_THETA = 10000.0  # llama.cpp's, for files without rope.freq_base
_EOS_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")  # all three end a turn

# What must have this value, if it is there at all.
_ONLY: dict[str, object] = {
    "expert_count": 0,
    "expert_used_count": 0,
    "attention.causal": True,
    "rope.scaling.type": "none",
    "rope.scaling.factor": 1.0,
    "rope.scale_linear": 1.0,
    "ssm.dt_b_c_rms": False,
}
# Known, and without effect here.
_HARMLESS = (
    "rope.scaling.finetuned", "rope.scaling.original_context_length", "attention.layer_norm_epsilon",
    "tensor_data_layout", "use_parallel_residual",
)  # fmt: skip
# nemotron_h files carry these although nothing rotates.
_HARMLESS_WITHOUT_ROPE = ("rope.dimension_count", "rope.freq_base")


def read_gguf_config(metadata: Mapping[str, object], tensors: Mapping[str, Tensor]) -> HybridConfig:
    """The model that metadata describes; tensors tell the vocabulary size where no key does, and if the head is tied.

    Raises     ConfigError for missing, contradictory or unknown keys; Unsupported for features, each named
    Pinned by  tests/formats/test_gguf_config.py
    """
    architecture = _read_architecture(metadata)
    keys = Keys(metadata, "[gguf] key", prefix=f"{architecture}.")
    num_blocks = keys.integer("block_count")
    if not 1 <= num_blocks <= len(tensors):
        raise keys.fault("block_count", f"{num_blocks} blocks cannot be in {len(tensors)} tensors")
    keys.require_only(_ONLY)
    keys.ignore(_HARMLESS)
    hidden_size = keys.integer("embedding_length")
    read_layers = _read_llama_layers if architecture == "llama" else _read_nemotron_h_layers
    layers = read_layers(keys, num_blocks, hidden_size)
    tokens = Keys(metadata, "[gguf] key", prefix="tokenizer.ggml.")
    config = HybridConfig(
        architecture=architecture,
        layers=layers,
        hidden_size=hidden_size,
        vocab_size=_read_vocab_size(keys, tensors),
        norm_eps=_decimal(keys.number("attention.layer_norm_rms_epsilon")),
        tie_embeddings="output.weight" not in tensors,
        max_context=keys.integer("context_length"),
        bos_token_id=tokens.integer("bos_token_id") if tokens.has("bos_token_id") else None,
        eos_token_ids=tuple(dict.fromkeys(tokens.integer(key) for key in _EOS_KEYS if tokens.has(key))),
    )
    keys.require_all_used()
    return config


def _read_architecture(metadata: Mapping[str, object]) -> Architecture:
    match Keys(metadata, "[gguf] key").text("general.architecture"):
        case "nemotron_h":
            return "nemotron_h"
        case "llama":
            return "llama"
        case other:
            raise Unsupported(
                f"[gguf] key general.architecture: {other!r:.40} is not supported; supported: nemotron_h, llama"
            )


def _read_vocab_size(keys: Keys, tensors: Mapping[str, Tensor]) -> int:
    embeddings = tensors.get("token_embd.weight")
    if embeddings is None:
        raise FormatError("[gguf] tensor token_embd.weight: missing; re-export the model")
    return keys.integer("vocab_size", embeddings.rows)


def _decimal(stored: float) -> float:
    """The shortest decimal that float32 stores as this: 1e-05, not 9.999999747378752e-06."""
    return float(str(np.float32(stored)))


def _read_head_dims(keys: Keys, heads: Sequence[int], hidden_size: int) -> tuple[int, ...]:
    """attention.key_length, or hidden / heads where absent; value_length must agree."""
    if keys.has("attention.key_length"):
        head_dims = keys.per_layer("attention.key_length", len(heads))
    else:
        head_dims = tuple(hidden_size // count if count > 0 else 0 for count in heads)
    value_dims = (
        keys.per_layer("attention.value_length", len(heads)) if keys.has("attention.value_length") else head_dims
    )
    if value_dims != head_dims:
        raise Unsupported(str(keys.fault("attention.value_length", "differs from attention.key_length")))
    keys.ignore(["attention.key_length", "attention.value_length"])
    return head_dims


def _read_nemotron_h_layers(keys: Keys, num_layers: int, hidden_size: int) -> tuple[LayerSpec, ...]:
    """Layer i is attention if head_count_kv[i] > 0, an MLP if feed_forward_length[i] > 0, else Mamba."""
    keys.ignore(_HARMLESS_WITHOUT_ROPE)
    kv_heads = keys.per_layer("attention.head_count_kv", num_layers)
    mlp_sizes = keys.per_layer("feed_forward_length", num_layers)
    heads = keys.per_layer("attention.head_count", num_layers, 0)
    head_dims = _read_head_dims(keys, heads, hidden_size)
    has_mamba = any(kv == 0 and size == 0 for kv, size in zip(kv_heads, mlp_sizes, strict=True))
    mamba = _read_mamba(keys, num_layers) if has_mamba else ()
    keys.ignore(_MAMBA_KEYS)
    layers: list[LayerSpec] = []
    for index in range(num_layers):
        if kv_heads[index] and mlp_sizes[index]:
            raise keys.fault("feed_forward_length", f"layer {index} has both an MLP and attention")
        if kv_heads[index]:
            layers.append(
                AttentionSpec(num_heads=heads[index], num_kv_heads=kv_heads[index], head_dim=head_dims[index])
            )
        elif mlp_sizes[index]:
            layers.append(MlpSpec(intermediate_size=mlp_sizes[index], activation="relu2"))
        else:
            layers.append(_mamba_spec(keys, index, *(sizes[index] for sizes in mamba)))
    return tuple(layers)


_MAMBA_KEYS = ("ssm.inner_size", "ssm.time_step_rank", "ssm.state_size", "ssm.group_count", "ssm.conv_kernel")


def _read_mamba(keys: Keys, num_layers: int) -> tuple[tuple[int, ...], ...]:
    return tuple(keys.per_layer(key, num_layers) for key in _MAMBA_KEYS)


def _mamba_spec(keys: Keys, index: int, inner: int, num_heads: int, state: int, groups: int, width: int) -> MambaSpec:
    """ssm.time_step_rank carries the number of heads."""
    if num_heads < 1 or inner % num_heads:
        raise keys.fault("ssm.inner_size", f"layer {index}: {inner} is not a multiple of {num_heads} heads")
    return MambaSpec(
        num_heads=num_heads, head_dim=inner // num_heads, state_size=state, num_groups=groups, conv_kernel=width
    )


def _read_llama_layers(keys: Keys, num_blocks: int, hidden_size: int) -> tuple[LayerSpec, ...]:
    heads = keys.per_layer("attention.head_count", num_blocks)
    kv_heads = keys.per_layer("attention.head_count_kv", num_blocks) if keys.has("attention.head_count_kv") else heads
    head_dims = _read_head_dims(keys, heads, hidden_size)
    mlp_sizes = keys.per_layer("feed_forward_length", num_blocks)
    theta = _decimal(keys.number("rope.freq_base", _DEFAULT_ROPE_THETA))
    rotated = keys.per_layer("rope.dimension_count", num_blocks) if keys.has("rope.dimension_count") else head_dims
    if rotated != head_dims:
        raise Unsupported(
            str(keys.fault("rope.dimension_count", "partial RoPE (not all of head_dim) is not supported"))
        )
    keys.ignore(["attention.head_count_kv", "rope.dimension_count"])
    layers: list[LayerSpec] = []
    for head_count, kv_count, head_dim, size in zip(heads, kv_heads, head_dims, mlp_sizes, strict=True):
        layers.append(AttentionSpec(num_heads=head_count, num_kv_heads=kv_count, head_dim=head_dim, rope_theta=theta))
        layers.append(MlpSpec(intermediate_size=size, activation="swiglu"))
    return tuple(layers)


def write_gguf_metadata(config: HybridConfig) -> dict[str, object]:
    """The metadata that read_gguf_config turns back into config.

    llama.cpp reads it if Mamba layers (in a llama: all layers) are even.

    Raises     Unsupported for what the format cannot say (clamped time steps, RoPE in nemotron_h); ConfigError for a
               llama config that is not pairs of attention and MLP
    """
    is_llama = config.architecture == "llama"
    keys = _write_llama_layers(config) if is_llama else _write_nemotron_h_layers(config)
    keys |= {
        "context_length": config.max_context,
        "embedding_length": config.hidden_size,
        "vocab_size": config.vocab_size,
        "attention.layer_norm_rms_epsilon": config.norm_eps,
    }
    metadata: dict[str, object] = {"general.architecture": config.architecture, "general.quantization_version": 2}
    metadata |= {f"{config.architecture}.{key}": value for key, value in keys.items()}
    return metadata | _write_special_tokens(config)


def _write_special_tokens(config: HybridConfig) -> dict[str, object]:
    if len(config.eos_token_ids) > len(_EOS_KEYS):
        raise Unsupported(f"[gguf] at most {len(_EOS_KEYS)} end-of-sequence ids fit, got {config.eos_token_ids}")
    ids: dict[str, object] = dict(zip(_EOS_KEYS, config.eos_token_ids, strict=False))
    if config.bos_token_id is not None:
        ids["bos_token_id"] = config.bos_token_id
    return {f"tokenizer.ggml.{key}": token for key, token in ids.items()}


def _shared_or_listed(sizes: Sequence[int]) -> int | list[int]:
    """One number where all layers that have one (> 0) agree, else the list."""
    present = {size for size in sizes if size}
    return present.pop() if len(present) == 1 else list(sizes)


def _write_attention(keys: dict[str, object], layers: Sequence[LayerSpec]) -> None:
    """Head counts and sizes; layers without attention count 0. Mutates keys."""

    def sizes(of: Callable[[AttentionSpec], int]) -> list[int]:
        return [of(layer) if isinstance(layer, AttentionSpec) else 0 for layer in layers]

    if any(isinstance(layer, AttentionSpec) for layer in layers):
        head_dim = _shared_or_listed(sizes(lambda layer: layer.head_dim))
        keys |= {
            "attention.head_count": _shared_or_listed(sizes(lambda layer: layer.num_heads)),
            "attention.key_length": head_dim,
            "attention.value_length": head_dim,
            "rope.dimension_count": head_dim,
        }


def _write_nemotron_h_layers(config: HybridConfig) -> dict[str, object]:
    layers = config.layers
    keys: dict[str, object] = {
        "block_count": len(layers),
        "attention.head_count_kv": [layer.num_kv_heads if isinstance(layer, AttentionSpec) else 0 for layer in layers],
        "feed_forward_length": [layer.intermediate_size if isinstance(layer, MlpSpec) else 0 for layer in layers],
    }
    keys["attention.layer_norm_epsilon"] = config.norm_eps  # llama.cpp insists on it and uses the other one
    _write_attention(keys, layers)
    for index, layer in enumerate(layers):
        match layer:
            case MambaSpec(time_step_limit=limit) if limit != (0.0, float("inf")):
                raise Unsupported(f"[gguf] layer {index}: GGUF cannot hold a time_step_limit, got {limit}")
            case AttentionSpec(rope_theta=float()) | MlpSpec(activation="swiglu"):
                raise Unsupported(f"[gguf] layer {index}: nemotron_h files have neither RoPE nor SwiGLU")
            case _:
                pass
    mamba = [_mamba_sizes(layer) if isinstance(layer, MambaSpec) else (0,) * len(_MAMBA_KEYS) for layer in layers]
    if any(isinstance(layer, MambaSpec) for layer in layers):
        keys |= {
            key: _shared_or_listed(sizes) for key, sizes in zip(_MAMBA_KEYS, zip(*mamba, strict=True), strict=True)
        }
    return keys


def _mamba_sizes(layer: MambaSpec) -> tuple[int, ...]:
    """In the order of _MAMBA_KEYS."""
    return (layer.inner_size, layer.num_heads, layer.state_size, layer.num_groups, layer.conv_kernel)


def _write_llama_layers(config: HybridConfig) -> dict[str, object]:
    attention = [layer for layer in config.layers[0::2] if isinstance(layer, AttentionSpec)]
    mlp = [layer for layer in config.layers[1::2] if isinstance(layer, MlpSpec) and layer.activation == "swiglu"]
    if not len(attention) == len(mlp) == len(config.layers) / 2:
        raise ConfigError(f"[gguf] a llama file holds pairs of attention and SwiGLU, got the pattern {config.pattern}")
    thetas = {layer.rope_theta for layer in attention}
    if len(thetas) > 1 or None in thetas:
        raise Unsupported(f"[gguf] a llama file holds one rope_theta for all layers, got {thetas}")
    keys: dict[str, object] = {
        "block_count": len(attention),
        "attention.head_count_kv": _shared_or_listed([layer.num_kv_heads for layer in attention]),
        "feed_forward_length": _shared_or_listed([layer.intermediate_size for layer in mlp]),
        "rope.freq_base": thetas.pop(),
    }
    _write_attention(keys, attention)
    return keys
