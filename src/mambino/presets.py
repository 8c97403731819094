"""The published models as values: exact sizes, no weights.

Knows config only. Start at PRESETS.

Source: the config.json files of nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16, NVIDIA-Nemotron-Nano-9B-v2 and -12B-v2,
Nemotron-H-4B-Base-8K and Nemotron-H-8B-Base-8K
"""

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec, layers_from_pattern
from mambino.errors import InputError


def _nemotron_h(
    pattern: str,
    *,
    hidden_size: int,
    intermediate_size: int,
    mamba_heads: int,
    mamba_head_dim: int,
    attention_heads: int,
    max_context: int,
    eos_token_ids: tuple[int, ...],
) -> HybridConfig:
    """What differs inside the family; the rest is the same in all five."""
    return HybridConfig(
        architecture="nemotron_h",
        layers=layers_from_pattern(
            pattern,
            mamba=MambaSpec(
                num_heads=mamba_heads, head_dim=mamba_head_dim, state_size=128, num_groups=8, conv_kernel=4
            ),
            attention=AttentionSpec(num_heads=attention_heads, num_kv_heads=8, head_dim=128),
            mlp=MlpSpec(intermediate_size=intermediate_size, activation="relu2"),
        ),
        hidden_size=hidden_size,
        vocab_size=131_072,
        norm_eps=1e-5,
        tie_embeddings=False,
        max_context=max_context,
        bos_token_id=1,
        eos_token_ids=eos_token_ids,
    )


_NEMOTRON_H_PATTERN = "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-"

PRESETS: dict[str, HybridConfig] = {
    "nemotron-3-nano-4b": _nemotron_h(
        "M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-",
        hidden_size=3136,
        intermediate_size=12_544,
        mamba_heads=96,
        mamba_head_dim=80,
        attention_heads=40,
        max_context=262_144,
        eos_token_ids=(2, 11),
    ),
    "nemotron-nano-9b-v2": _nemotron_h(
        "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
        hidden_size=4480,
        intermediate_size=15_680,
        mamba_heads=128,
        mamba_head_dim=80,
        attention_heads=40,
        max_context=131_072,
        eos_token_ids=(12,),
    ),
    "nemotron-nano-12b-v2": _nemotron_h(
        "M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M-",
        hidden_size=5120,
        intermediate_size=20_480,
        mamba_heads=128,
        mamba_head_dim=80,
        attention_heads=40,
        max_context=131_072,
        eos_token_ids=(12,),
    ),
    "nemotron-h-4b": _nemotron_h(
        _NEMOTRON_H_PATTERN,
        hidden_size=3072,
        intermediate_size=12_288,
        mamba_heads=112,
        mamba_head_dim=64,
        attention_heads=32,
        max_context=8192,
        eos_token_ids=(2,),
    ),
    "nemotron-h-8b": _nemotron_h(
        _NEMOTRON_H_PATTERN,
        hidden_size=4096,
        intermediate_size=21_504,
        mamba_heads=128,
        mamba_head_dim=64,
        attention_heads=32,
        max_context=8192,
        eos_token_ids=(2,),
    ),
}


def preset(name: str) -> HybridConfig:
    """The published model of this name. Raises InputError that lists the names."""
    if name not in PRESETS:
        raise InputError(f"[presets] {name!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
