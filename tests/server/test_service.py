"""What happens around answers: idle time is used for the next turn, and a closed server keeps where it stood."""

from collections.abc import Callable

import numpy as np

from fake_lm import FakeLM
from mambino.config import HybridConfig
from mambino.server.self_test import self_test
from mambino.server.worker import BatchingLM
from serving import HELLO, Served

Serve = Callable[..., Served]
PATH = "/v1/chat/completions"


def test_idle_time_absorbs_the_history_without_its_thinking(serve: Serve) -> None:
    served = serve(["Hm, hm, hm.\n</think>\nYes, that is so.", "No.\n</think>\nNo."], slots=1)
    asked = {"chat_template_kwargs": {"enable_thinking": True}, "messages": HELLO}
    first = served.post(PATH, asked).json()
    served.service._idle.submit(lambda: None).result(10)  # after what was queued before
    more = [*HELLO, first["choices"][0]["message"], {"role": "user", "content": "And?"}]
    usage = served.post(PATH, {**asked, "messages": more}).json()["usage"]
    fresh = usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]
    turn = "<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\n<think>\n"
    new_turn = served.post("/tokenize", {"content": turn, "parse_special": True})
    assert fresh <= len(new_turn.json()["tokens"])


def test_the_self_test_sees_a_model_whose_answers_depend_on_neighbours(tiny_config: HybridConfig) -> None:
    class LeakyLM(FakeLM):
        """Alone it is itself; among others it says something else."""

        def extend_many(self, states, tokens):  # type: ignore[no-untyped-def]
            logits = super().extend_many(states, tokens)
            return logits if len(states) == 1 else np.roll(logits, 1, axis=-1)

    def faults(model: FakeLM) -> list[str]:
        batching = BatchingLM(model)
        try:
            return self_test(batching)
        finally:
            batching.close()

    assert faults(FakeLM(tiny_config)) == []
    assert any("among 3 others" in fault for fault in faults(LeakyLM(tiny_config)))
