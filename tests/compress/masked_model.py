"""The masked full model, the other definition of a sub-model: the parent at full size, what was cut set to zero.

Written without compress: it walks the parent's modules by hand. Norms divide by the active width, which on zeros is
the full norm with a scaled weight and epsilon.
"""

import math

import torch

from mambino.compress.sub import SubConfig
from mambino.config import AttentionSpec, MambaSpec, MlpSpec
from mambino.model.hybrid import HybridLM
from mambino.model.mamba2 import Mamba2
from mambino.model.norm import GatedGroupNorm, RMSNorm


@torch.no_grad()
def mask_model(model: HybridLM, sub: SubConfig) -> None:
    """Mutates model: it becomes the masked parent."""
    hidden, parent = sub.config.hidden_size, model.config
    model.embeddings.weight[:, hidden:] = 0
    _narrow_norm(model.norm_f, hidden / parent.hidden_size)
    parts = dict(zip(sub.kept, sub.config.layers, strict=True))
    for index, block in enumerate(model.layers):
        part, whole, mixer = parts.get(index), parent.layers[index], block.mixer
        _narrow_norm(block.norm, hidden / parent.hidden_size)
        output = {"M": "out_proj", "*": "o_proj", "-": "down_proj"}[parent.pattern[index]]
        writes = getattr(mixer, output).weight
        writes[hidden:] = 0
        match whole, part:
            case _, None:
                writes.zero_()
            case MambaSpec(), MambaSpec():
                _mask_mamba(mixer, whole, part)
            case AttentionSpec(), AttentionSpec():
                heads = writes.view(-1, whole.num_kv_heads, whole.num_heads // whole.num_kv_heads, whole.head_dim)
                heads[:, part.num_kv_heads :] = 0
                heads[:, :, part.num_heads // part.num_kv_heads :] = 0
            case MlpSpec(), MlpSpec():
                writes[:, part.intermediate_size :] = 0


def _mask_mamba(mixer: Mamba2, whole: MambaSpec, part: MambaSpec) -> None:
    """Close the gate of the heads and channels that go: silent before the norm, so they do not count in it."""
    ratio, kept = whole.num_heads // whole.num_groups, part.num_heads // part.num_groups
    gone = torch.zeros(whole.num_groups, ratio, whole.head_dim, dtype=torch.bool)
    gone[:, kept:] = True
    gone[:, :, part.head_dim :] = True
    channels = gone.flatten()
    mixer.in_proj.weight[: whole.inner_size] *= ~channels[:, None]  # z = 0: silu(z) = 0
    mixer.out_proj.weight *= ~channels
    _narrow_norm(mixer.norm, kept * part.head_dim / (ratio * whole.head_dim))


def _narrow_norm(norm: RMSNorm | GatedGroupNorm, share: float) -> None:
    norm.weight *= math.sqrt(share)
    norm.eps *= share
