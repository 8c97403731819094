"""An OpenAI-compatible endpoint: what is sent, what is understood, and what its failures become."""

import json
from collections.abc import Callable

import httpx
import pytest

from mambino.chat.messages import Message, ToolCall
from mambino.chat.request import AnswerRequest, OutputFormat
from mambino.errors import FetchError, InputError, MambinoError
from mambino.evals.endpoint import EndpointResponder
from mambino.generation.params import SamplingParams

HELLO = (Message(role="user", content="hello"),)


def responder(answer: Callable[[httpx.Request], httpx.Response]) -> EndpointResponder:
    client = httpx.Client(transport=httpx.MockTransport(answer))
    return EndpointResponder("http://host/v1/", "m", api_key="k", client=client, retry_wait_s=0.0)


def completion(**message: object) -> httpx.Response:
    choice = {"message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return httpx.Response(200, json={"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})


def test_a_request_says_what_was_asked() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return completion(content="hi")

    call = ToolCall(id="c", name="f", arguments={"x": 1})
    request = AnswerRequest(
        messages=(*HELLO, Message(role="assistant", content="", tool_calls=(call,))),
        params=SamplingParams(temperature=0.0, max_tokens=7, seed=1, stop=("END",)),
        tools=({"name": "f", "parameters": {}},),
        output=OutputFormat(kind="choice", source=("up", "down")),
        thinking=False,
    )
    reply = responder(answer).respond(request)
    body = json.loads(seen[0].content)
    assert str(seen[0].url) == "http://host/v1/chat/completions"
    assert seen[0].headers["Authorization"] == "Bearer k"
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"x": 1}'
    assert (body["max_tokens"], body["seed"], body["stop"], body["temperature"]) == (7, 1, ["END"], 0.0)
    assert body["tools"][0]["function"]["name"] == "f"
    assert body["guided_choice"] == ["up", "down"]
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert (reply.message.content, reply.prompt_tokens, reply.completion_tokens) == ("hi", 5, 2)


def test_thinking_left_in_the_content_is_split_off() -> None:
    reply = responder(lambda request: completion(content="<think>hm</think>\nhi")).respond(
        AnswerRequest(messages=HELLO)
    )
    assert (reply.message.content, reply.message.reasoning) == ("hi", "hm")


def test_an_answer_with_calls_and_no_content() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}]
    reply = responder(lambda request: completion(content=None, tool_calls=calls)).respond(AnswerRequest(messages=HELLO))
    assert reply.message.tool_calls == (ToolCall(id="1", name="f", arguments={"x": 1}),)


def test_a_busy_server_is_asked_again() -> None:
    answers = iter([httpx.Response(503), httpx.Response(429), completion(content="hi")])
    assert responder(lambda request: next(answers)).respond(AnswerRequest(messages=HELLO)).message.content == "hi"


def refuse(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refuse, FetchError, "cannot reach"),
        (lambda request: httpx.Response(500, text="oops"), FetchError, "500"),
        (lambda request: httpx.Response(401), FetchError, "--api-key"),
        (lambda request: httpx.Response(400, text="too long"), InputError, "too long"),
        (lambda request: httpx.Response(200, text="<html>"), InputError, "no JSON"),
        (lambda request: httpx.Response(200, json=[]), InputError, "no JSON object"),
        (lambda request: httpx.Response(200, json={"choices": []}), InputError, "no chat completion"),
    ],
)
def test_failures_say_whether_the_next_request_has_a_chance(
    answer: Callable[[httpx.Request], httpx.Response], error: type[MambinoError], words: str
) -> None:
    with pytest.raises(error, match=words):
        responder(answer).respond(AnswerRequest(messages=HELLO))
