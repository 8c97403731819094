"""The implementations that must obey the nine laws. To add one: write a factory, add a row to IMPLEMENTATIONS.

A factory gets a config and returns a LanguageModel with random weights (tiny_models.tiny_weights gives them without
torch); it skips, loudly, if this install cannot build it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from fake_lm import FakeLM
from mambino.config import HybridConfig
from mambino.formats.names import rows
from mambino.lm import LanguageModel
from tiny_models import tiny_hybrid_config, tiny_llama_config, tiny_weights


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """build: config -> model. tolerance: max logit difference, 0 for bitwise. kv_bytes: of a stored key, 1 for q8."""

    build: Callable[[HybridConfig], LanguageModel]
    tolerance: float
    kv_bytes: int
    marks: tuple[pytest.MarkDecorator, ...] = ()


def build_torch(config: HybridConfig) -> LanguageModel:
    pytest.importorskip("torch", reason="the torch implementation needs torch")
    from mambino.model.torch_lm import TorchLM

    return TorchLM.from_tensors(config, tiny_weights(config))


def build_native(config: HybridConfig, isa: str, activations: str, kv: str) -> LanguageModel:
    native = pytest.importorskip("mambino.engine.native", reason="the native implementation needs the compiled engine")
    tensors = tiny_weights(config)
    model: LanguageModel = native.NativeLM(
        config,
        {row.own: row.transform.to_gguf(tensors[row.own]) for row in rows(config)},
        threads=2,
        isa=isa,
        activations=activations,
        kv=kv,
    )
    return model


IMPLEMENTATIONS = {
    "fake": Implementation(build=FakeLM, tolerance=0.0, kv_bytes=2),
    "native": Implementation(
        build=partial(build_native, isa="best", activations="int8", kv="f16"),
        marks=(pytest.mark.native,),
        tolerance=0.0,
        kv_bytes=2,
    ),
    "native-q8": Implementation(
        build=partial(build_native, isa="best", activations="int8", kv="q8"),
        marks=(pytest.mark.native,),
        tolerance=0.0,
        kv_bytes=1,
    ),
    "native-reference": Implementation(
        build=partial(build_native, isa="reference", activations="float32", kv="f16"),
        marks=(pytest.mark.native,),
        tolerance=0.0,
        kv_bytes=4,
    ),
    # float32 rounding of logits of order ten, other order of summation
    "torch": Implementation(build=build_torch, marks=(pytest.mark.torch,), tolerance=1e-4, kv_bytes=4),
}
CONFIGS = {"hybrid": tiny_hybrid_config(), "llama": tiny_llama_config()}


@pytest.fixture(
    scope="session", params=[pytest.param(row, id=name, marks=row.marks) for name, row in IMPLEMENTATIONS.items()]
)
def implementation(request: pytest.FixtureRequest) -> Implementation:
    assert isinstance(request.param, Implementation)
    return request.param


@pytest.fixture(scope="session")
def tolerance(implementation: Implementation) -> float:
    return implementation.tolerance


@pytest.fixture(scope="session")
def kv_bytes(implementation: Implementation) -> int:
    return implementation.kv_bytes


@pytest.fixture(scope="session", params=list(CONFIGS))
def lm(request: pytest.FixtureRequest, implementation: Implementation) -> LanguageModel:
    return implementation.build(CONFIGS[request.param])


@pytest.fixture(scope="session")
def other_lm(implementation: Implementation) -> LanguageModel:
    """A model of another shape than every lm."""
    config = tiny_hybrid_config()
    return implementation.build(
        HybridConfig(
            architecture="nemotron_h", layers=config.layers[:3], hidden_size=29, vocab_size=101, norm_eps=1e-5,
            tie_embeddings=False, max_context=1024,
        )
    )  # fmt: skip
