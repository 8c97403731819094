"""The layers of a llama config.json: every block is an attention layer and an MLP layer.

Returns layer specs; hf_config adds what all architectures share. Start at read_llama_layers.

Source: transformers 5.23 LlamaConfig and its rope_parameters
"""

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MlpSpec
from mambino.errors import ConfigError, Unsupported
from mambino.formats.keys import Keys

_DEFAULT_ROPE_THETA = 10000.0  # LlamaConfig's, for files from before the key existed
_MAX_BLOCKS = 4096

# What must have this value, if it is there at all.
_ONLY: dict[str, object] = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "pretraining_tp": 1}

# What describes every block; an uneven model has none of these.
SIZE_KEYS = (
    "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size", "rope_theta", "rope_parameters",
    "rope_scaling",
)  # fmt: skip

# Known, and without effect: cache layout and a converter's note.
_HARMLESS = ("rope_interleaved", "is_llama_config")


def check_llama(keys: Keys) -> None:
    """Raise Unsupported for the first feature that the layers here do not have."""
    if keys.has("rope_interleaved") and keys.boolean("rope_interleaved", False):
        raise Unsupported(str(keys.fault("rope_interleaved", "true is not supported")))
    keys.require_only(_ONLY)
    keys.ignore(_HARMLESS)


def read_llama_layers(keys: Keys, hidden_size: int) -> tuple[LayerSpec, ...]:
    """Attention, MLP, attention, MLP, ... of an even model."""
    num_blocks, num_heads = keys.integer("num_hidden_layers"), keys.integer("num_attention_heads")
    if not 1 <= num_blocks <= _MAX_BLOCKS:
        raise keys.fault("num_hidden_layers", f"expected 1 to {_MAX_BLOCKS}, got {num_blocks}")
    if not keys.has("head_dim") and (num_heads < 1 or hidden_size % num_heads):
        raise keys.fault(
            "head_dim", f"hidden_size {hidden_size} is not a multiple of {num_heads} heads; state head_dim"
        )
    attention = AttentionSpec(
        num_heads=num_heads,
        num_kv_heads=keys.integer("num_key_value_heads", num_heads),
        head_dim=keys.integer("head_dim") if keys.has("head_dim") else hidden_size // num_heads,
        rope_theta=_read_rope_theta(keys),
    )
    keys.ignore(["head_dim"])
    mlp = MlpSpec(intermediate_size=keys.integer("intermediate_size"), activation="swiglu")
    return (attention, mlp) * num_blocks


def _read_rope_theta(keys: Keys) -> float:
    """From rope_theta, or rope_parameters of the default type; scaled RoPE is refused by name."""
    found: list[float] = [keys.number("rope_theta")] if keys.has("rope_theta") else []
    for key in ("rope_parameters", "rope_scaling"):
        parameters = keys.get(key)
        if parameters is None:
            continue
        if not isinstance(parameters, dict):
            raise keys.fault(key, f"expected an object, got {parameters!r:.80}")
        inner = Keys(parameters, f"[config.json] {key}:")
        rope_type = inner.get(inner.first("rope_type", "type"))
        if rope_type not in (None, "default"):
            raise Unsupported(str(keys.fault(key, f"RoPE scaling of type {rope_type!r:.40} is not supported")))
        if inner.has("rope_theta"):
            found.append(inner.number("rope_theta"))
        inner.require_all_used()
    if len(set(found)) > 1:
        raise keys.fault("rope_theta", f"the spellings disagree: {found}")
    keys.ignore(["rope_theta"])
    return found[0] if found else _DEFAULT_ROPE_THETA


def write_llama_layers(config: HybridConfig) -> dict[str, object] | None:
    """The keys of an even model; None if these keys cannot say it.

    Raises     ConfigError unless the layers are pairs of attention and MLP
    """
    if config.pattern != "*-" * (len(config.layers) // 2):
        raise ConfigError(f"[config] a llama model is pairs of attention and MLP, got the pattern {config.pattern}")
    attention, mlp = config.layers[:2]
    is_even = config.layers == (attention, mlp) * (len(config.layers) // 2)
    if not (is_even and isinstance(attention, AttentionSpec) and isinstance(mlp, MlpSpec)):
        return None
    if attention.rope_theta is None or mlp.activation != "swiglu":
        return None
    return {
        "num_attention_heads": attention.num_heads,
        "num_key_value_heads": attention.num_kv_heads,
        "head_dim": attention.head_dim,
        "rope_theta": attention.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": attention.rope_theta},
        "intermediate_size": mlp.intermediate_size,
        "hidden_act": "silu",
    }
