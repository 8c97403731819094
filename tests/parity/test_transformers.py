"""model/ against transformers' NemotronHForCausalLM and LlamaForCausalLM, same weights, float32."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec, layers_from_pattern
from mambino.formats.names import rows
from mambino.model.torch_lm import TorchLM
from tiny_models import tiny_llama_config, tiny_weights

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, NemotronHForCausalLM

pytestmark = pytest.mark.torch

# What the project promises; float32 rounding of logits of order ten is a tenth of it.
FLOAT32_TOLERANCE = 1e-4
NUM_TOKENS = 75
PROMPT = 63  # the rest one by one

PATTERNS = ["M*", "M-M*M-*MM-", "*-MM*M", "-*-"]


def hybrid_config(pattern: str) -> HybridConfig:
    return HybridConfig(
        architecture="nemotron_h",
        layers=layers_from_pattern(
            pattern,
            mamba=MambaSpec(num_heads=6, head_dim=5, state_size=7, num_groups=3, conv_kernel=4),
            attention=AttentionSpec(num_heads=6, num_kv_heads=2, head_dim=4),
            mlp=MlpSpec(intermediate_size=19, activation="relu2"),
        ),
        hidden_size=21,
        vocab_size=67,
        norm_eps=1e-5,
        tie_embeddings=False,
        max_context=512,
    )


def nemotron_h(config: HybridConfig) -> "NemotronHForCausalLM":
    """transformers' model with tiny_weights, its dt clamp taken out."""
    from transformers import NemotronHConfig, NemotronHForCausalLM

    reference = NemotronHForCausalLM(
        NemotronHConfig(
            vocab_size=67, hidden_size=21, hybrid_override_pattern=config.pattern, num_attention_heads=6,
            num_key_value_heads=2, head_dim=4, intermediate_size=19, ssm_state_size=7, mamba_num_heads=6,
            mamba_head_dim=5, n_groups=3, conv_kernel=4, chunk_size=16, layer_norm_epsilon=1e-5,
            tie_word_embeddings=False,
        )
    )  # fmt: skip
    for block, spec in zip(reference.model.layers, config.layers, strict=True):
        if isinstance(spec, MambaSpec):
            block.mixer.time_step_limit = (0.0, float("inf"))
    return load(reference, config)


def llama(config: HybridConfig) -> "LlamaForCausalLM":
    """transformers' model with tiny_weights of an even llama config."""
    from transformers import LlamaConfig, LlamaForCausalLM

    attention, mlp = config.layers[:2]
    assert isinstance(attention, AttentionSpec)
    assert isinstance(mlp, MlpSpec)
    reference = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size, hidden_size=config.hidden_size, intermediate_size=mlp.intermediate_size,
            num_hidden_layers=len(config.layers) // 2, num_attention_heads=attention.num_heads,
            num_key_value_heads=attention.num_kv_heads, head_dim=attention.head_dim, rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": attention.rope_theta}, tie_word_embeddings=True,
        )
    )  # fmt: skip
    return load(reference, config)


def load(reference: torch.nn.Module, config: HybridConfig) -> torch.nn.Module:
    weights = tiny_weights(config)
    named = {row.hf: torch.from_numpy(weights[row.own].to_float32()) for row in rows(config)}
    missing = reference.load_state_dict(
        {name.replace("backbone.", "model."): value for name, value in named.items()}, strict=False
    )
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"lm_head.weight"}  # tied to the embeddings
    return reference.eval()


def full_and_cached(reference: torch.nn.Module, tokens: NDArray[np.int32]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (T, V) in one pass, and of a prompt followed by single tokens through the cache."""
    ids = torch.from_numpy(tokens).long()[None]
    with torch.no_grad():
        full = reference(ids).logits[0]
        step = reference(ids[:, :PROMPT], use_cache=True)
        cached = [step.logits[0]]
        for t in range(PROMPT, NUM_TOKENS):
            step = reference(ids[:, t : t + 1], past_key_values=step.past_key_values, use_cache=True)
            cached.append(step.logits[0])
    return full, torch.cat(cached)


def even_llama_config() -> HybridConfig:
    config = tiny_llama_config()
    attention, mlp = config.layers[:2]
    return HybridConfig(
        architecture="llama", layers=(attention, mlp, attention, mlp), hidden_size=config.hidden_size,
        vocab_size=config.vocab_size, norm_eps=config.norm_eps, tie_embeddings=True, max_context=512,
    )  # fmt: skip


def check(config: HybridConfig, reference: torch.nn.Module, tokens: NDArray[np.int32]) -> None:
    lm = TorchLM.from_tensors(config, tiny_weights(config))
    full, cached = full_and_cached(reference, tokens)
    assert full.abs().max() > 1.0, "weights too weak to show anything"
    assert np.abs(lm.score(tokens) - full.numpy()).max() < FLOAT32_TOLERANCE
    state = lm.new_state(NUM_TOKENS)
    ours = [lm.extend(state, tokens[:PROMPT])] + [
        lm.extend(state, tokens[t : t + 1]) for t in range(PROMPT, NUM_TOKENS)
    ]
    assert np.abs(np.stack(ours) - cached[PROMPT - 1 :].numpy()).max() < FLOAT32_TOLERANCE


@pytest.mark.parametrize("pattern", PATTERNS)
def test_logits_equal_transformers_nemotron_h_in_one_pass_and_cached(pattern: str, rng: np.random.Generator) -> None:
    config = hybrid_config(pattern)
    tokens = rng.integers(0, config.vocab_size, NUM_TOKENS).astype(np.int32)
    check(config, nemotron_h(config), tokens)


def test_logits_equal_transformers_llama_in_one_pass_and_cached(rng: np.random.Generator) -> None:
    config = even_llama_config()
    tokens = rng.integers(0, config.vocab_size, NUM_TOKENS).astype(np.int32)
    check(config, llama(config), tokens)
