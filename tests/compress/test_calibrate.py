"""Column importance is the mean square of what enters each matrix."""

import numpy as np
import pytest
import torch

from mambino.compress.calibrate import column_importance
from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.formats.names import rows
from mambino.model.torch_lm import TorchLM
from tiny_models import tiny_weights

pytestmark = pytest.mark.torch

# float32 activations are squared in float64 and averaged: only the last float32 rounding differs.
RELATIVE = 1e-5


@pytest.fixture(params=["tiny_config", "tiny_llama"])
def config(request: pytest.FixtureRequest) -> HybridConfig:
    config: HybridConfig = request.getfixturevalue(request.param)
    return config


def pieces_of(config: HybridConfig) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, config.vocab_size, count).astype(np.int32) for count in (9, 1, 30)]


def test_every_matrix_that_multiplies_has_one_number_a_column(config: HybridConfig) -> None:
    model = TorchLM.from_tensors(config, tiny_weights(config)).model
    importance = column_importance(model, pieces_of(config))
    expected = {row.own: row.shape[-1:] for row in rows(config) if len(row.shape) == 2}
    if not config.tie_embeddings:
        del expected["embeddings.weight"]  # it is looked up, not multiplied
    assert {own: values.shape for own, values in importance.items()} == expected
    assert all(np.isfinite(values).all() and (values >= 0).all() for values in importance.values())


def test_the_head_and_the_first_matrix_see_what_they_should(config: HybridConfig) -> None:
    model = TorchLM.from_tensors(config, tiny_weights(config)).model
    pieces = pieces_of(config)
    importance = column_importance(model, pieces)
    with torch.inference_mode():
        hidden = torch.cat([model.hidden(torch.from_numpy(piece.astype(np.int64))[None])[0] for piece in pieces])
        embedded = model.layers[0].norm(model.embeddings(torch.from_numpy(np.concatenate(pieces).astype(np.int64))))
    head = "embeddings.weight" if config.tie_embeddings else "lm_head.weight"
    first = next(own for own in importance if own.startswith("layers.0."))
    np.testing.assert_allclose(importance[head], hidden.square().mean(0).numpy(), rtol=RELATIVE)
    np.testing.assert_allclose(importance[first], embedded.square().mean(0).numpy(), rtol=RELATIVE)


def test_no_hook_stays_behind(tiny_config: HybridConfig) -> None:
    model = TorchLM.from_tensors(tiny_config, tiny_weights(tiny_config)).model
    column_importance(model, pieces_of(tiny_config))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_an_empty_text_is_refused(tiny_config: HybridConfig) -> None:
    model = TorchLM.from_tensors(tiny_config, tiny_weights(tiny_config)).model
    with pytest.raises(InputError, match="at least one token"):
        column_importance(model, [])
