"""The layers of a nemotron_h config.json, in both spellings of every key that changed its name.

Returns layer specs; hf_config adds what all architectures share. Start at read_nemotron_h_layers.

Source: transformers 5.23 NemotronHConfig, and the config.json files that NVIDIA published
"""

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec, layers_from_pattern
from mambino.errors import Unsupported
from mambino.formats.keys import Keys
from mambino.formats.layer_json import read_time_step_limit, write_time_step_limit

_LETTERS = {
    "M": "M", "mamba": "M", "linear_attention": "M",
    "*": "*", "attention": "*", "full_attention": "*",
    "-": "-", "mlp": "-",
}  # fmt: skip
_MIXTURE_OF_EXPERTS = ("E", "moe")

# What must have this value, if it is there at all.
_ONLY: dict[str, object] = {
    "mlp_hidden_act": "relu2",
    "mamba_hidden_act": "silu",
    "use_conv_bias": True,
    "mamba_conv_bias": True,
    "attention_bias": False,
    "mlp_bias": False,
    "mamba_proj_bias": False,
    "use_bias": False,
    "num_nextn_predict_layers": 0,
    "sliding_window": None,
}

# What describes every layer of one kind; an uneven model has none of these.
SIZE_KEYS = (
    "mamba_num_heads", "mamba_head_dim", "ssm_state_size", "n_groups", "mamba_n_groups", "conv_kernel", "mamba_d_conv",
    "time_step_limit", "mamba_dt_limit", "num_attention_heads", "num_key_value_heads", "head_dim", "attention_head_dim",
    "intermediate_size", "hybrid_override_pattern", "layers_block_type", "layer_types",
)  # fmt: skip

# Known, and without effect on a forward pass: initialisation, training, kernels, and the experts that we refuse.
_HARMLESS = (
    "expand", "mamba_expand", "chunk_size", "mamba_chunk_size", "time_step_min", "time_step_max", "time_step_floor",
    "mamba_dt_min", "mamba_dt_max", "mamba_dt_init_floor", "time_step_rank", "mamba_ssm_cache_dtype",
    "residual_in_fp32", "rescale_prenorm_residual", "hidden_dropout", "num_logits_to_keep", "use_mamba_kernels",
    "is_mamba_model", "mtp_layers_block_type", "mtp_hybrid_override_pattern", "n_group", "topk_group",
    "n_routed_experts", "num_local_experts", "n_shared_experts", "moe_intermediate_size",
    "moe_shared_expert_intermediate_size", "moe_latent_size", "moe_shared_expert_overlap", "norm_topk_prob",
    "num_experts_per_tok", "routed_scaling_factor", "output_router_logits", "router_aux_loss_coef",
)  # fmt: skip
# transformers clamps time steps from below by time_step_min, 0.001 where that is absent, and takes its logarithm.
_NO_LEAST_STEP = 1e-30


def check_nemotron_h(keys: Keys) -> None:
    """Raise Unsupported for the first feature that the layers here do not have."""
    keys.require_only(_ONLY)
    keys.ignore(_HARMLESS)


def read_nemotron_h_layers(keys: Keys) -> tuple[LayerSpec, ...]:
    """The layers of an even model: each kind has one spec."""
    pattern = _read_pattern(keys)
    mamba = attention = mlp = None
    if "M" in pattern:
        mamba = MambaSpec(
            num_heads=keys.integer("mamba_num_heads"),
            head_dim=keys.integer("mamba_head_dim"),
            state_size=keys.integer("ssm_state_size"),
            num_groups=keys.integer(keys.first("n_groups", "mamba_n_groups")),
            conv_kernel=keys.integer(keys.first("conv_kernel", "mamba_d_conv")),
            time_step_limit=read_time_step_limit(keys, keys.first("time_step_limit", "mamba_dt_limit")),
        )
    if "*" in pattern:
        num_heads = keys.integer("num_attention_heads")
        attention = AttentionSpec(
            num_heads=num_heads,
            num_kv_heads=keys.integer("num_key_value_heads", num_heads),
            head_dim=keys.integer(keys.first("head_dim", "attention_head_dim")),
        )
    if "-" in pattern:
        mlp = MlpSpec(intermediate_size=keys.integer("intermediate_size"), activation="relu2")
    keys.ignore(SIZE_KEYS)  # sizes of a kind that the pattern does not use
    return layers_from_pattern(pattern, mamba=mamba, attention=attention, mlp=mlp)


def _read_pattern(keys: Keys) -> str:
    """One letter a layer; if the file has several spellings, they must agree."""
    patterns: dict[str, str] = {}
    for key in ("hybrid_override_pattern", "layers_block_type", "layer_types"):
        if keys.has(key):
            kinds = keys.get(key)
            if not isinstance(kinds, str | list):
                raise keys.fault(key, f"expected the kind of every layer, got {kinds!r:.80}")
            patterns[key] = "".join(_letter(keys, f"{key}[{index}]", kind) for index, kind in enumerate(kinds))
    if not patterns:
        raise keys.fault("hybrid_override_pattern", "expected this key or layers_block_type, got neither")
    if len(set(patterns.values())) > 1:
        raise keys.fault("hybrid_override_pattern", f"the spellings disagree: {patterns}")
    return next(iter(patterns.values()))


def _letter(keys: Keys, place: str, kind: object) -> str:
    if kind in _MIXTURE_OF_EXPERTS:
        raise Unsupported(str(keys.fault(place, f"mixture of experts ({kind}) is not supported")))
    if not isinstance(kind, str) or kind not in _LETTERS:
        raise keys.fault(place, f"expected one of {', '.join(_LETTERS)}, got {kind!r:.40}")
    return _LETTERS[kind]


def write_nemotron_h_layers(config: HybridConfig) -> dict[str, object] | None:
    """The keys of an even model; None if these keys cannot say it, because it is uneven or has other mixers."""
    specs: dict[type, set[LayerSpec]] = {MambaSpec: set(), AttentionSpec: set(), MlpSpec: set()}
    for layer in config.layers:
        specs[type(layer)].add(layer)
    if any(len(kind) > 1 for kind in specs.values()):
        return None
    keys: dict[str, object] = {"hybrid_override_pattern": config.pattern}
    for layer in set().union(*specs.values()):
        match layer:
            case MambaSpec():
                keys |= {
                    "mamba_num_heads": layer.num_heads,
                    "mamba_head_dim": layer.head_dim,
                    "ssm_state_size": layer.state_size,
                    "n_groups": layer.num_groups,
                    "conv_kernel": layer.conv_kernel,
                    **write_time_step_limit(layer.time_step_limit),
                    "time_step_min": layer.time_step_limit[0] or _NO_LEAST_STEP,
                }
            case AttentionSpec(rope_theta=None):
                keys |= {
                    "num_attention_heads": layer.num_heads,
                    "num_key_value_heads": layer.num_kv_heads,
                    "head_dim": layer.head_dim,
                }
            case MlpSpec(activation="relu2"):
                keys |= {"intermediate_size": layer.intermediate_size, "mlp_hidden_act": "relu2"}
            case _:
                return None
    return keys
