"""Small configs and random weights for tests, made without torch.

The weights are strong enough that every part of a model shows in the logits. Start at tiny_hybrid_config, tiny_weights.
"""

import numpy as np
from numpy.typing import NDArray

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec
from mambino.formats.adapter import Adapter, Factors
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32


def tiny_hybrid_config() -> HybridConfig:
    """Every Nemotron-H layer kind, uneven from layer to layer."""
    return HybridConfig(
        architecture="nemotron_h",
        layers=(
            MambaSpec(num_heads=6, head_dim=5, state_size=7, num_groups=3, conv_kernel=4),
            MlpSpec(intermediate_size=41, activation="relu2"),
            AttentionSpec(num_heads=6, num_kv_heads=2, head_dim=6),
            MambaSpec(num_heads=4, head_dim=3, state_size=9, num_groups=2, conv_kernel=3),
            MambaSpec(num_heads=2, head_dim=8, state_size=4, num_groups=1, conv_kernel=4),
            AttentionSpec(num_heads=4, num_kv_heads=1, head_dim=10),
            MlpSpec(intermediate_size=19, activation="relu2"),
        ),
        hidden_size=37,
        vocab_size=101,
        norm_eps=1e-5,
        tie_embeddings=False,
        max_context=1024,
        bos_token_id=1,
        eos_token_ids=(2, 11),
    )


def tiny_llama_config() -> HybridConfig:
    """Two llama blocks of unequal width."""
    return HybridConfig(
        architecture="llama",
        layers=(
            AttentionSpec(num_heads=6, num_kv_heads=2, head_dim=6, rope_theta=10_000.0),
            MlpSpec(intermediate_size=43, activation="swiglu"),
            AttentionSpec(num_heads=6, num_kv_heads=2, head_dim=6, rope_theta=10_000.0),
            MlpSpec(intermediate_size=29, activation="swiglu"),
        ),
        hidden_size=36,  # transformers wants a multiple of the heads
        vocab_size=103,
        norm_eps=1e-5,
        tie_embeddings=True,
        max_context=1024,
        bos_token_id=1,
        eos_token_ids=(2,),
    )


def tiny_weights(config: HybridConfig, seed: int = 0) -> dict[str, Tensor]:
    """Random float32 weights in "hf" form, by own name."""
    rng = np.random.default_rng(seed)
    return {row.own: tensor_from_float32(row.own, _values(row.own, row.shape, rng)) for row in rows(config)}


def tiny_adapter(config: HybridConfig, seed: int = 1, *, rank: int = 3) -> Adapter:
    """Factors of every projection, strong enough to change every logit."""
    rng = np.random.default_rng(seed)
    return Adapter(
        factors={
            row.own: Factors(
                a=(rng.standard_normal((rank, row.shape[1])) / np.sqrt(row.shape[1])).astype(np.float32),
                b=(0.5 * rng.standard_normal((row.shape[0], rank))).astype(np.float32),
                scale=1.5,
            )
            for row in rows(config)
            if row.own.endswith("_proj.weight")
        }
    )


def _values(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    if name.endswith("A_log"):
        values = np.log(rng.uniform(0.3, 16.0, shape))
    elif name.endswith("dt_bias"):
        values = np.log(np.expm1(np.exp(rng.uniform(np.log(1e-3), np.log(0.5), shape))))
    elif name.endswith(("norm.weight", "norm_f.weight", ".D")):
        values = 1.0 + 0.3 * rng.standard_normal(shape)
    elif name.endswith(("conv1d.weight", "conv1d.bias")):
        values = rng.uniform(-0.7, 0.7, shape)
    elif name == "embeddings.weight":
        values = rng.standard_normal(shape)
    else:
        values = rng.standard_normal(shape) * (1.5 / np.sqrt(shape[-1]))
    return values.astype(np.float32)
