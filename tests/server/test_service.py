"""What happens around answers: idle time is used for the next turn, and a closed server keeps where it stood."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fake_lm import FakeLM
from mambino.chat.answer import Answer
from mambino.chat.request import AnswerRequest
from mambino.config import HybridConfig
from mambino.generation.prefix_cache import RECENT_PLACES
from mambino.server.self_test import self_test
from mambino.server.worker import BatchingLM
from serving import HELLO, Served, reply_service
from tiny_chat import tiny_chat_config, tiny_tokenizer
from tiny_models import tiny_adapter

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
            time.sleep(0.005)  # as long as a model takes: meanwhile the others come
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


def talk(served: Served, turns: int, **fields: object) -> list[dict[str, str]]:
    messages = [{"role": "system", "content": "S"}]
    for number in range(turns):
        messages.append({"role": "user", "content": f"question {number} " + "words " * 4})
        reply = served.post("/v1/chat/completions", {"messages": messages, "max_tokens": 20, **fields})
        assert reply.status_code == 200, reply.text
        assert reply.json()["usage"]["prompt_tokens"] < served.service.context
        messages.append({"role": "assistant", "content": "ok"})
    return messages


def test_a_long_conversation_loses_its_oldest_turns_if_the_server_says_so() -> None:
    messages = talk(Served(reply_service(["ok"] * 9, context=300, when_full="drop")), turns=8)
    refusing = Served(reply_service(["ok"], context=300))
    assert refusing.post("/v1/chat/completions", {"messages": [*messages, messages[1]]}).status_code == 400


def test_a_long_conversation_is_summed_up_by_whom_it_was_with(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = tiny_adapter(tiny_chat_config(tiny_tokenizer()), 1)
    service = reply_service(["ok"], context=900, slots=1, when_full="summarise", adapters={"mine": adapter})
    served, asked = Served(service), list[AnswerRequest]()
    answer = served.service.answerer.answer

    def noted(request: AnswerRequest, **options: Any) -> Answer:
        asked.append(request)
        return answer(request, **options)

    monkeypatch.setattr(served.service.answerer, "answer", noted)
    talk(served, turns=16, adapter="mine")
    texts = [[message.content for message in request.messages] for request in asked]
    summed = next(place for place, said in enumerate(texts) if said[-1].startswith("Summarise our conversation"))
    assert any("question 0" in text for text in texts[summed])
    assert asked[summed].adapter is adapter
    assert any("Summary of our earlier conversation:\nok" in text for text in texts[-1])
    assert not any("question 0" in text for text in texts[-1])
    assert "question 15" in texts[-1][-1]


def test_what_is_dropped_from_a_conversation_is_forgotten_by_the_cache() -> None:
    served = Served(reply_service(["ok"], context=300, slots=1, when_full="drop"))
    counts = []
    messages: list[dict[str, str]] = []
    for number in range(20):
        messages.append({"role": "user", "content": f"question {number} " + "words " * 4})
        assert served.post("/v1/chat/completions", {"messages": messages, "max_tokens": 20}).status_code == 200
        messages.append({"role": "assistant", "content": "ok"})
        counts.append(len(served.service.answerer.cache))
    assert max(counts) <= RECENT_PLACES + 1
