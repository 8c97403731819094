"""Small models whose matrices hold random blocks of one quantised type: for engine tests, made without an encoder.

Start at quantised_model.
"""

import numpy as np
from numpy.typing import NDArray

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor
from mambino.quant.types import TYPES, QuantType
from tiny_models import tiny_weights

QUANTISED_TYPES = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "Q4_K", "Q5_K", "Q6_K")


def quantised_config() -> HybridConfig:
    """Every layer kind, at the smallest widths that hold 256-wide blocks."""
    return HybridConfig(
        architecture="nemotron_h",
        layers=(
            MambaSpec(num_heads=8, head_dim=32, state_size=16, num_groups=2, conv_kernel=4),
            MlpSpec(intermediate_size=512, activation="relu2"),
            AttentionSpec(num_heads=4, num_kv_heads=2, head_dim=64),
            MambaSpec(num_heads=16, head_dim=16, state_size=24, num_groups=4, conv_kernel=4),
        ),
        hidden_size=256,
        vocab_size=70,
        norm_eps=1e-5,
        tie_embeddings=False,
        max_context=1024,
    )


def quantised_model(type_name: str, seed: int = 0) -> tuple[HybridConfig, dict[str, Tensor]]:
    """A config and its tensors in "hf" form: big matrices in the type, with values of the scale 1/sqrt(width)."""
    config, kind = quantised_config(), TYPES[type_name]
    rng = np.random.default_rng(seed)
    tensors = tiny_weights(config, seed)
    for row in rows(config):
        if len(row.shape) == 2:
            data = random_blocks(kind, *row.shape, rng)
            tensors[row.own] = Tensor(name=row.own, type=kind, shape=row.shape, data=data.reshape(-1))
    return config, tensors


def random_blocks(kind: QuantType, num_rows: int, cols: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Random codes with block scales near 1/sqrt(cols): (num_rows, row_nbytes)."""
    blocks = rng.integers(0, 256, (num_rows * cols // kind.block_size, kind.block_nbytes), dtype=np.uint8)
    spread = {"Q8_0": 74.0, "Q4_0": 4.6, "Q4_1": 4.6, "Q5_0": 9.2, "Q5_1": 9.2, "IQ4_NL": 69.0}.get(
        kind.name, 32.0 * 18.5
    )
    scale = rng.uniform(0.5, 1.5, len(blocks)) / (spread * np.sqrt(cols))
    if kind.name == "Q6_K":
        blocks[:, 208:210] = _halves(scale)
        blocks[:, 192:208] = rng.integers(-40, 41, (len(blocks), 16)).astype(np.int8).view(np.uint8)
        return blocks.reshape(num_rows, -1)
    blocks[:, 0:2] = _halves(scale)
    if kind.name in ("Q4_1", "Q5_1"):
        blocks[:, 2:4] = _halves(-scale * (7.5 if kind.name == "Q4_1" else 15.5))
    if kind.name in ("Q4_K", "Q5_K"):
        blocks[:, 2:4] = _halves(scale * (7.5 if kind.name == "Q4_K" else 15.5))
    return blocks.reshape(num_rows, -1)


def _halves(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return values.astype(np.float16).view(np.uint8).reshape(-1, 2)
