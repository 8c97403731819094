"""HybridState: what it costs, and that a failed pass leaves it alone. The laws are in tests/contract."""

import pytest
import torch

from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.model.mlp import Mlp
from mambino.model.state import HybridState
from tiny_models import tiny_hybrid_config

pytestmark = pytest.mark.torch

CONFIG = tiny_hybrid_config()


def make(room: int = 20, dtype: torch.dtype = torch.float32) -> HybridState:
    return HybridState(CONFIG, room, device=torch.device("cpu"), dtype=dtype)


def test_keys_and_values_cost_the_models_dtype_and_the_rest_float32() -> None:
    assert make(dtype=torch.bfloat16).nbytes == CONFIG.state_nbytes(20, kv_bytes=2)
    assert make(dtype=torch.float32).nbytes == CONFIG.state_nbytes(20, kv_bytes=4)


def test_slots_follow_the_layers() -> None:
    assert [type(slot).__name__[0] for slot in make().slots] == ["M", "N", "A", "M", "M", "A", "N"]


def test_a_pass_that_fails_in_a_late_layer_leaves_the_state_as_it_was() -> None:
    model, state, tokens = HybridLM(CONFIG), make(), torch.arange(5)[None]
    with torch.no_grad():
        model(tokens, states=[state])
        before = state.snapshot()
        expected = model(tokens, states=[state])
        state.restore(before)
        last = model.layers[-1].mixer
        assert isinstance(last, Mlp)
        hook = last.register_forward_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            model(tokens, states=[state])
        hook.remove()
        assert state.position == 5
        assert torch.equal(model(tokens, states=[state]), expected)


def test_a_snapshot_in_another_precision_is_refused() -> None:
    with pytest.raises(InputError, match="another model"):
        make(dtype=torch.float32).restore(make(dtype=torch.bfloat16).snapshot())
