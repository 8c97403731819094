"""TorchLM: dtypes, training updates, refusals. The laws are in tests/contract, the values in tests/parity."""

import numpy as np
import pytest
import torch

from mambino.errors import InputError
from mambino.model.torch_lm import TorchLM
from tiny_models import tiny_hybrid_config, tiny_weights

pytestmark = pytest.mark.torch

CONFIG = tiny_hybrid_config()
TOKENS = np.arange(80, dtype=np.int32)


def make(dtype: torch.dtype | None = None) -> TorchLM:
    return TorchLM.from_tensors(CONFIG, tiny_weights(CONFIG), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_follows_float32(dtype: torch.dtype) -> None:
    lm = make(dtype)
    logits = lm.score(TOKENS)
    assert logits.dtype == np.float32
    assert lm.new_state(5).nbytes == CONFIG.state_nbytes(5, kv_bytes=2)
    assert np.corrcoef(logits.ravel(), make().score(TOKENS).ravel())[0, 1] > 0.999


def test_float64_is_accepted() -> None:
    assert np.abs(make(torch.float64).score(TOKENS) - make().score(TOKENS)).max() < 1e-4  # float32 rounding


def test_training_shows_in_the_next_logits() -> None:
    lm = make()
    before = lm.score(TOKENS[:5])
    with torch.no_grad():
        lm.model.norm_f.weight.mul_(2.0)
    assert np.allclose(lm.score(TOKENS[:5]), 2 * before, atol=1e-5)


def test_a_state_of_another_precision_is_refused() -> None:
    with pytest.raises(InputError, match="another model"):
        make().extend(make(torch.bfloat16).new_state(5), TOKENS[:2])


def test_no_states_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="one token array a state"):
        make().extend_many([], [])


def test_loaded_models_record_no_gradients() -> None:
    assert not any(parameter.requires_grad for parameter in make().model.parameters())
