"""A small model with every axis that can be cut, and its sub-models, for the tests of compress."""

from collections.abc import Mapping
from pathlib import Path

import torch

from mambino.compress.offered import FILE_NAME, nested_text
from mambino.compress.sub import SubConfig, SubSizes, sub_config
from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec, layers_from_pattern
from mambino.model.hybrid import HybridLM
from mambino.model.weights import load_weights
from tiny_models import tiny_weights


def cuttable_config() -> HybridConfig:
    """Uneven layers, several groups, several query heads a key/value head."""
    return HybridConfig(
        architecture="nemotron_h",
        layers=(
            MambaSpec(num_heads=8, head_dim=6, state_size=5, num_groups=2, conv_kernel=4),
            MlpSpec(intermediate_size=20, activation="relu2"),
            AttentionSpec(num_heads=6, num_kv_heads=2, head_dim=4),
            MambaSpec(num_heads=4, head_dim=3, state_size=7, num_groups=1, conv_kernel=3),
            MlpSpec(intermediate_size=14, activation="relu2"),
            AttentionSpec(num_heads=4, num_kv_heads=4, head_dim=4),
        ),
        hidden_size=16,
        vocab_size=61,
        norm_eps=1e-3,  # large, so that a wrong epsilon shows
        tie_embeddings=False,
        max_context=256,
        bos_token_id=1,
        eos_token_ids=(2,),
    )


# Even layers, and sizes in whole blocks of 32 on every axis.
BLOCKY = HybridConfig(
    architecture="nemotron_h",
    layers=layers_from_pattern(
        "M-*M-",
        mamba=MambaSpec(num_heads=4, head_dim=32, state_size=16, num_groups=2, conv_kernel=4),
        attention=AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=32),
        mlp=MlpSpec(intermediate_size=96, activation="relu2"),
    ),
    hidden_size=64,
    vocab_size=61,
    norm_eps=1e-5,
    tie_embeddings=False,
    max_context=128,
    bos_token_id=1,
    eos_token_ids=(2,),
)


def write_offer(folder: Path, subs: Mapping[str, SubConfig]) -> None:
    """Put the sizes that it offers beside the weights of a Hugging Face folder."""
    (folder / FILE_NAME).write_text(nested_text(subs), encoding="utf-8")


ONE_AXIS_EACH: dict[str, SubSizes] = {
    "hidden": SubSizes(hidden_size=11),
    "mamba heads": SubSizes(mamba_heads=4),
    "mamba channels": SubSizes(mamba_head_dim=2),
    "attention heads": SubSizes(attention_heads=4),
    "kv heads": SubSizes(kv_heads=1),
    "ffn": SubSizes(intermediate_size=9),
    "depth": SubSizes(num_layers=4),
}
EVERYTHING = SubSizes(
    hidden_size=11, mamba_heads=4, mamba_head_dim=2, attention_heads=4, kv_heads=2, intermediate_size=9, num_layers=5
)
DEPTH_ORDER = (2, 0, 5, 4, 3, 1)


def sub_of(sizes: SubSizes) -> SubConfig:
    return sub_config(cuttable_config(), sizes, depth_order=DEPTH_ORDER)


def strong_model(config: HybridConfig | None = None) -> HybridLM:
    """float64, with weights that show."""
    config = config or cuttable_config()
    model = HybridLM(config, dtype=torch.float64)
    load_weights(model, tiny_weights(config))
    return model


def some_tokens(count: int, rows: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randint(61, (rows, count), generator=torch.Generator().manual_seed(seed))
