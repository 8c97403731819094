"""Tools, forms and thinking over HTTP: calls in every API's words, whole and streamed."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from serving import HELLO, Served, stream_events
from tiny_chat import tiny_tokenizer
from tool_template import TOOL_TEMPLATE, written_call

Serve = Callable[..., Served]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
ARGUMENTS = {"city": "Oslo", "days": 2}
CALL = written_call("weather", city="Oslo", days="2")


@pytest.fixture
def weather(serve: Serve) -> Served:
    """A server whose model calls weather first, then says that it rains."""
    return serve([CALL, "It rains."], tokenizer=tiny_tokenizer(TOOL_TEMPLATE), slots=1)


def test_a_call_comes_whole_and_its_result_goes_back(weather: Served) -> None:
    first = weather.post("/v1/chat/completions", {"messages": HELLO, "tools": TOOLS}).json()["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    (call,) = first["message"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == ARGUMENTS
    result = {"role": "tool", "tool_call_id": call["id"], "content": "rain"}
    more = [*HELLO, first["message"], result]
    second = weather.post("/v1/chat/completions", {"messages": more, "tools": TOOLS}).json()["choices"][0]
    assert second["message"]["content"] == "It rains."


def test_a_streamed_call_adds_up(weather: Served) -> None:
    asked = {"messages": HELLO, "tools": TOOLS, "stream": True}
    events: list[Any] = stream_events(weather.post("/v1/chat/completions", asked))
    parts = [part for event in events for part in event["choices"][0]["delta"].get("tool_calls", [])]
    assert parts[0]["id"]
    assert parts[0]["function"]["name"] == "weather"
    assert len(parts) > 2
    assert json.loads("".join(part["function"]["arguments"] for part in parts)) == ARGUMENTS
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_anthropic_tool_use(weather: Served) -> None:
    tools = [{"name": "weather", "input_schema": PARAMETERS}]
    asked = {"max_tokens": 200, "messages": HELLO, "tools": tools}
    reply = weather.post("/v1/messages", asked).json()
    assert reply["stop_reason"] == "tool_use"
    (block,) = reply["content"]
    assert (block["type"], block["name"], block["input"]) == ("tool_use", "weather", ARGUMENTS)
    result = {"type": "tool_result", "tool_use_id": block["id"], "content": [{"type": "text", "text": "rain"}]}
    more = [*HELLO, {"role": "assistant", "content": reply["content"]}, {"role": "user", "content": [result]}]
    assert weather.post("/v1/messages", {**asked, "messages": more}).json()["content"][0]["text"] == "It rains."


def test_anthropic_tool_use_streamed(weather: Served) -> None:
    tools = [{"name": "weather", "input_schema": PARAMETERS}]
    asked = {"max_tokens": 200, "messages": HELLO, "tools": tools, "stream": True}
    events: list[Any] = stream_events(weather.post("/v1/messages", asked))
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 1
    partial = "".join(event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta")
    assert json.loads(partial) == ARGUMENTS


def test_responses_function_calls(weather: Served) -> None:
    tools = [{"type": "function", "name": "weather", "parameters": PARAMETERS}]
    first = weather.post("/v1/responses", {"input": "hi", "tools": tools}).json()
    (call,) = first["output"]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == ("function_call", "weather", ARGUMENTS)
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    asked = {"input": [result], "tools": tools, "previous_response_id": first["id"]}
    second = weather.post("/v1/responses", asked).json()
    assert second["output"][0]["content"][0]["text"] == "It rains."


def test_responses_function_calls_streamed(weather: Served) -> None:
    tools = [{"type": "function", "name": "weather", "parameters": PARAMETERS}]
    events: list[Any] = stream_events(weather.post("/v1/responses", {"input": "hi", "tools": tools, "stream": True}))
    pieces = [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert json.loads("".join(pieces)) == ARGUMENTS
    done = next(event for event in events if event["type"] == "response.output_item.done")
    assert json.loads(done["item"]["arguments"]) == ARGUMENTS
    assert events[-1]["response"]["output"][0]["type"] == "function_call"


def test_a_choice_of_answers_is_kept_to(serve: Serve) -> None:
    reply = serve(["maybe"]).post("/v1/chat/completions", {"messages": HELLO, "guided_choice": ["yes", "no"]})
    assert reply.json()["choices"][0]["message"]["content"] in ("yes", "no")


def test_an_answer_follows_a_schema(serve: Serve) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    reply = serve(["no"]).post("/v1/chat/completions", {"messages": HELLO, "response_format": form})
    assert isinstance(json.loads(reply.json()["choices"][0]["message"]["content"])["ok"], bool)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    "asked", [{"guided_regex": "("}, {"guided_lark": "?"}, {"guided_json": {"type": "nothing"}}, {"tools": TOOLS}]
)
def test_what_the_model_cannot_do_is_refused_before_a_stream_begins(
    serve: Serve, asked: dict[str, object], streams: bool
) -> None:
    reply = serve().post("/v1/chat/completions", {"messages": HELLO, "stream": streams, **asked})
    assert reply.status_code == 400
    assert reply.json()["error"]["message"].startswith("[")


def test_a_thinking_budget_ends_the_thinking(serve: Serve) -> None:
    served = serve(["I wonder and wonder and wonder and wonder and wonder and wonder.\n</think>\nYes."])
    body = served.post("/v1/chat/completions", {"messages": HELLO, "thinking_budget": 16, "max_tokens": 40}).json()
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 20
    assert body["choices"][0]["message"]["reasoning_content"]


@pytest.mark.slow
@pytest.mark.parametrize("api", ["OpenAIChatCompletionsModel", "OpenAIResponsesModel"])
def test_an_agent_framework_runs_its_tools_through_the_server(weather: Served, api: str) -> None:
    agents = pytest.importorskip("agents", reason="pip install openai-agents")
    openai = pytest.importorskip("openai")
    agents.set_tracing_disabled(True)
    called: list[tuple[str, int]] = []

    @agents.function_tool(name_override="weather")  # type: ignore[untyped-decorator]
    def look_outside(city: str, days: int) -> str:
        """What the sky does."""
        called.append((city, days))
        return "rain"

    async def work(client: httpx.AsyncClient) -> str:
        connected = openai.AsyncOpenAI(base_url="http://test/v1", api_key="none", http_client=client, max_retries=0)
        model = getattr(agents, api)(model="tiny", openai_client=connected)
        agent = agents.Agent(name="a", instructions="Be short.", tools=[look_outside], model=model)
        running = agents.Runner.run_streamed(agent, "weather?")
        async for _ in running.stream_events():
            pass
        return str(running.final_output)

    assert weather.run(work) == "It rains."
    assert called == [("Oslo", 2)]
