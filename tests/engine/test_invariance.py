"""Logits do not depend on what else runs, nor on how a text was cut: bitwise, every weight type and instruction set.

This is what makes speculation exact, and greedy text the same on a busy server.
"""

from collections.abc import Iterator

import numpy as np
import pytest

from mambino import _native
from mambino.config import HybridConfig
from mambino.engine.native import Activations, Isa, NativeLM
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor
from mambino.lm import Float32Array, Int32Array
from mambino.quant.encode import encode
from mambino.quant.types import TYPES
from quantised_models import QUANTISED_TYPES, quantised_config, quantised_model
from tiny_models import tiny_weights

pytestmark = pytest.mark.native

ISAS: list[Isa] = ["reference", "avx2", "avx512"]
FLOAT_TYPES = ["F32", "F16", "BF16"]
# The reference has one slow product for all types, so three stand for the rest. "float32": that form of activations.
MODELS = [(kind, how) for kind in [*FLOAT_TYPES, *QUANTISED_TYPES] for how in ("avx2", "avx512", "float32")]
MODELS += [(kind, "reference") for kind in ("F32", "Q5_0", "Q6_K")]
LENGTH = 44
CUTS = [1, 1, 2, 3, 4, 5, 8, 9, 11]  # few tokens dot file blocks in place, more unpack them: both, and their edges


def float_model(kind: str) -> tuple[HybridConfig, dict[str, Tensor]]:
    config = quantised_config()
    tensors = tiny_weights(config)
    for row in rows(config):
        if len(row.shape) == 2:
            values = tensors[row.own].to_float32().reshape(row.shape)
            data = encode(TYPES[kind], values).reshape(-1)
            tensors[row.own] = Tensor(name=row.own, type=TYPES[kind], shape=row.shape, data=data)
    return config, tensors


@pytest.fixture(scope="module", params=MODELS, ids="-".join)
def lm(request: pytest.FixtureRequest) -> NativeLM:
    kind, how = request.param
    isa: Isa = "best" if how == "float32" else how
    if isa != "best" and ISAS.index(isa) > ISAS.index(_native.best_isa()):  # type: ignore[arg-type]
        pytest.skip(f"this machine has no {isa}")
    activations: Activations = "float32" if how == "float32" else "int8"
    config, tensors = float_model(kind) if kind in FLOAT_TYPES else quantised_model(kind)
    gguf = {row.own: row.transform.to_gguf(tensors[row.own]) for row in rows(config)}
    return NativeLM(config, gguf, threads=2, isa=isa, activations=activations)


def text(lm: NativeLM, seed: int = 0, count: int = LENGTH) -> Int32Array:
    return np.random.default_rng(seed).integers(0, lm.config.vocab_size, count).astype(np.int32)


def pieces(tokens: Int32Array) -> Iterator[Int32Array]:
    return iter(np.split(tokens, np.cumsum(CUTS)[:-1]))


def logits_after_cuts(lm: NativeLM, tokens: Int32Array) -> list[Float32Array]:
    state = lm.new_state(tokens.size)
    return [lm.extend(state, piece) for piece in pieces(tokens)]


def test_logits_do_not_depend_on_how_a_text_is_cut(lm: NativeLM) -> None:
    tokens = text(lm)
    whole = lm.score(tokens)
    for end, logits in zip(np.cumsum(CUTS), logits_after_cuts(lm, tokens), strict=True):
        assert np.array_equal(logits, whole[end - 1]), f"after {end} tokens"


def test_logits_do_not_depend_on_what_else_is_extended(lm: NativeLM) -> None:
    texts = [text(lm, seed) for seed in range(5)]
    alone = [logits_after_cuts(lm, tokens) for tokens in texts]
    for others in (1, 2, 4):
        states = [lm.new_state(LENGTH) for _ in range(others + 1)]
        for step, parts in enumerate(zip(*(pieces(tokens) for tokens in texts[: others + 1]), strict=True)):
            together = lm.extend_many(states, parts)
            for index, logits in enumerate(together):
                assert np.array_equal(logits, alone[index][step]), f"{others} others, step {step}"
