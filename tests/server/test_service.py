"""What happens around answers: idle time is used for the next turn, and a closed server keeps where it stood."""

from collections.abc import Callable

import numpy as np

from fake_lm import FakeLM
from mambino.config import HybridConfig
from mambino.server.self_test import self_test
from mambino.server.worker import BatchingLM
from serving import HELLO, Served, reply_service

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


def test_a_long_conversation_loses_its_oldest_turns_if_the_server_says_so() -> None:
    served = Served(reply_service(["ok"] * 9, context=300, when_full="drop"))
    messages = [{"role": "system", "content": "S"}]
    for number in range(8):
        messages.append({"role": "user", "content": f"question {number} " + "words " * 4})
        reply = served.post("/v1/chat/completions", {"messages": messages, "max_tokens": 20})
        assert reply.status_code == 200, reply.text
        assert reply.json()["usage"]["prompt_tokens"] < 300
        messages.append({"role": "assistant", "content": "ok"})
    refusing = Served(reply_service(["ok"], context=300))
    assert refusing.post("/v1/chat/completions", {"messages": [*messages, messages[1]]}).status_code == 400
