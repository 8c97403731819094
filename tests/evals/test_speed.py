"""Timing reads the whole prompt at once, then writes greedily, on a clock that the test holds."""

import numpy as np
import pytest

from fake_lm import FakeLM
from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.evals.speed import logits_digest, time_context


class Counting(FakeLM):
    """Remembers the number of tokens of every call, and lets time pass: 1 s a call."""

    def __init__(self, config: HybridConfig, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(config)
        self.taken: list[np.ndarray] = []
        monkeypatch.setattr("mambino.evals.speed.time.perf_counter", lambda: float(len(self.taken)))

    def extend(self, state, tokens):  # type: ignore[no-untyped-def]
        self.taken.append(tokens)
        return super().extend(state, tokens)


def test_the_prompt_is_one_call_and_every_written_token_another(
    tiny_config: HybridConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Counting(tiny_config, monkeypatch)
    timing = time_context(model, 30, 5)
    assert [call.size for call in model.taken] == [30, 1, 1, 1, 1, 1]
    assert (timing.prompt_rate, timing.decode_rate) == (30.0, 1.0)
    assert len(set(model.taken[0].tolist())) > 5


def test_what_does_not_fit_is_refused(tiny_config: HybridConfig) -> None:
    for prompt, decode in ((0, 1), (1, 0), (1020, 5)):
        with pytest.raises(InputError, match="expected 1 to 1024"):
            time_context(FakeLM(tiny_config), prompt, decode)


def test_the_digest_is_of_the_logits(tiny_config: HybridConfig) -> None:
    assert logits_digest(FakeLM(tiny_config)) == logits_digest(FakeLM(tiny_config))
    other = FakeLM(tiny_config)
    extend = other.extend
    other.extend = lambda state, tokens: extend(state, tokens) + np.float32(1)  # type: ignore[method-assign]
    assert logits_digest(FakeLM(tiny_config)) != logits_digest(other)
