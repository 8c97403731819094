"""model/ against an independent float64 recurrence, the whole model, token by token."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from float64_oracle import logits as oracle_logits
from mambino.config import HybridConfig, MambaSpec
from mambino.model.hybrid import HybridLM
from mambino.model.torch_lm import TorchLM
from mambino.model.weights import load_weights
from tiny_models import tiny_hybrid_config, tiny_llama_config, tiny_weights

pytestmark = pytest.mark.torch

# Rounding of some 10^4 float64 operations on values of order one.
FLOAT64_TOLERANCE = 1e-11
# What the project promises in float32.
FLOAT32_TOLERANCE = 1e-4
NUM_TOKENS = 131  # two chunks of 64 and a rest


def clamped(config: HybridConfig) -> HybridConfig:
    """The same with a time-step limit that binds at both ends."""
    layers = [
        dataclasses.replace(layer, time_step_limit=(0.05, 0.4)) if isinstance(layer, MambaSpec) else layer
        for layer in config.layers
    ]
    return dataclasses.replace(config, layers=tuple(layers))


CONFIGS = {"hybrid": tiny_hybrid_config(), "clamped": clamped(tiny_hybrid_config()), "llama": tiny_llama_config()}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A config, some tokens, and what the recurrence makes of them."""

    config: HybridConfig
    tokens: NDArray[np.int32]
    expected: NDArray[np.float64]


@pytest.fixture(scope="module", params=list(CONFIGS))
def case(request: pytest.FixtureRequest) -> Case:
    config = CONFIGS[request.param]
    tokens = np.random.default_rng(3).integers(0, config.vocab_size, NUM_TOKENS).astype(np.int32)
    weights = {name: tensor.to_float32().astype(np.float64) for name, tensor in tiny_weights(config).items()}
    return Case(config=config, tokens=tokens, expected=oracle_logits(config, weights, tokens.tolist()))


def test_float64_module_equals_the_recurrence(case: Case) -> None:
    model = HybridLM(case.config, dtype=torch.float64)
    load_weights(model, tiny_weights(case.config))
    with torch.no_grad():
        got = model(torch.from_numpy(case.tokens).long()[None])[0].numpy()
    assert np.abs(case.expected).max() > 1.0, "weights too weak to show anything"
    assert np.abs(got - case.expected).max() < FLOAT64_TOLERANCE


def test_float32_prefill_then_decode_equals_the_recurrence(case: Case) -> None:
    lm = TorchLM.from_tensors(case.config, tiny_weights(case.config))
    state = lm.new_state(NUM_TOKENS)
    got = [lm.extend(state, case.tokens[:70])]
    got += [lm.extend(state, case.tokens[t : t + 1]) for t in range(70, NUM_TOKENS)]
    assert np.abs(np.stack(got) - case.expected[69:]).max() < FLOAT32_TOLERANCE


def test_float32_score_equals_the_recurrence(case: Case) -> None:
    lm = TorchLM.from_tensors(case.config, tiny_weights(case.config))
    assert np.abs(lm.score(case.tokens) - case.expected).max() < FLOAT32_TOLERANCE
