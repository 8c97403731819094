"""POST /v1/chat/completions: shapes, streams and refusals, in this process."""

from collections.abc import Callable
from typing import Any

import pytest

from serving import HELLO, Served, stream_events

PATH = "/v1/chat/completions"
Serve = Callable[..., Served]


def test_an_answer_has_the_shape_that_clients_read(serve: Serve) -> None:
    reply = serve(["Hello there."]).post(PATH, {"model": "any", "messages": HELLO})
    assert reply.status_code == 200
    body = reply.json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "tiny"
    choice = body["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "Hello there."}
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_stream_adds_up_to_the_whole_answer(serve: Serve) -> None:
    asked = {"messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
    reply = serve(["Hello there."]).post(PATH, asked)
    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.text.endswith("data: [DONE]\n\n")
    events: list[Any] = stream_events(reply)
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in events[:-1]) == "Hello there."
    assert [e["choices"][0]["finish_reason"] for e in events[:-1] if e["choices"][0]["finish_reason"]] == ["stop"]
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] > 0


def test_a_second_turn_reuses_what_the_first_absorbed(serve: Serve) -> None:
    served = serve(["One.", "Two."], slots=1)
    served.post(PATH, {"messages": HELLO})
    more = [*HELLO, {"role": "assistant", "content": "One."}, {"role": "user", "content": "and?"}]
    usage = served.post(PATH, {"messages": more}).json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] > 10


def test_thinking_is_kept_apart_and_counted(serve: Serve) -> None:
    served = serve(["I wonder.\n</think>\nYes."])
    asked = {"messages": HELLO, "chat_template_kwargs": {"enable_thinking": True}}
    body = served.post(PATH, asked).json()
    assert body["choices"][0]["message"]["content"] == "Yes."
    assert body["choices"][0]["message"]["reasoning_content"] == "I wonder."
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] > 5


def test_logprobs_cover_the_content_and_nothing_else(serve: Serve) -> None:
    served = serve(["Hm.\n</think>\nYes."])
    asked = {
        "messages": HELLO,
        "logprobs": True,
        "top_logprobs": 2,
        "chat_template_kwargs": {"enable_thinking": True},
    }
    listed = served.post(PATH, asked).json()["choices"][0]["logprobs"]["content"]
    assert "".join(one["token"] for one in listed).strip() == "Yes."
    assert all(len(one["top_logprobs"]) == 2 for one in listed)
    streamed: list[Any] = stream_events(served.post(PATH, {**asked, "stream": True}))
    parts = [e["choices"][0]["logprobs"] for e in streamed if e["choices"][0]["logprobs"]]
    assert "".join(one["token"] for part in parts for one in part["content"]).strip() == "Yes."


@pytest.mark.parametrize("streams", [False, True])
def test_n_answers_come_with_their_index(serve: Serve, streams: bool) -> None:
    reply = serve(["A."], slots=2).post(PATH, {"messages": HELLO, "n": 3, "stream": streams})
    if not streams:
        choices = reply.json()["choices"]
        assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [
            (0, "A."),
            (1, "A."),
            (2, "A."),
        ]
        return
    said = {0: "", 1: "", 2: ""}
    events: list[Any] = stream_events(reply)
    for event in events:
        said[event["choices"][0]["index"]] += event["choices"][0]["delta"].get("content", "")
    assert set(said.values()) == {"A."}


def test_stop_strings_and_limits_end_an_answer(serve: Serve) -> None:
    served = serve(["one two three"])
    stopped = served.post(PATH, {"messages": HELLO, "stop": "two"}).json()["choices"][0]
    assert (stopped["message"]["content"], stopped["finish_reason"]) == ("one ", "stop")
    cut = served.post(PATH, {"messages": HELLO, "max_completion_tokens": 2}).json()
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["usage"]["completion_tokens"] == 2


def test_the_same_seed_repeats_and_choices_differ_by_theirs(serve: Serve) -> None:
    asked = {"messages": HELLO, "temperature": 5, "seed": -3, "max_tokens": 12, "n": 2}
    served = serve(["A short reply to draw from."])
    first = [choice["message"]["content"] for choice in served.post(PATH, asked).json()["choices"]]
    again = [choice["message"]["content"] for choice in served.post(PATH, asked).json()["choices"]]
    assert first == again


def test_harmless_fields_are_listed_as_ignored(serve: Serve) -> None:
    reply = serve().post(PATH, {"messages": HELLO, "user": "me", "metadata": {"a": "b"}})
    assert reply.status_code == 200
    assert reply.headers["x-ignored-fields"] == "metadata, user"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"temprature": 1}, "temprature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].type"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"n": 1000}, "n"),
        ({"n": 2.0}, "n"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"guided_regex": "a", "guided_choice": ["b"]}, "response_format"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_a_bad_field_is_refused_by_name(serve: Serve, change: dict[str, object], named: str) -> None:
    reply = serve().post(PATH, {"messages": HELLO, **change})
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(named)


def test_a_prompt_that_does_not_fit_is_refused_before_it_runs(serve: Serve) -> None:
    reply = serve(context=64).post(PATH, {"messages": [{"role": "user", "content": "x" * 100}], "stream": True})
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "context_length_exceeded"


def test_half_a_character_and_nul_do_no_harm(serve: Serve) -> None:
    served = serve()
    asked = b'{"messages":[{"role":"user","content":"\\ud800"}]}'
    refused = served.ask("POST", PATH, content=asked, headers={"content-type": "application/json"})
    assert refused.status_code == 400
    assert served.post(PATH, {"messages": [{"role": "user", "content": "a\0b"}]}).status_code == 200
