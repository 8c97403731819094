"""The vendors' own clients against the application: what they parse is what they expect."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import pytest

from serving import HELLO, Served

pytestmark = pytest.mark.slow  # importing the clients takes longer than all other tests of the server

Serve = Callable[..., Served]
Result = TypeVar("Result")


def with_openai(served: Served, work: Callable[[Any], Awaitable[Result]]) -> Result:
    openai = pytest.importorskip("openai")

    async def go(client: httpx.AsyncClient) -> Result:
        return await work(
            openai.AsyncOpenAI(base_url="http://test/v1", api_key="none", http_client=client, max_retries=0)
        )

    return served.run(go)


def with_anthropic(served: Served, work: Callable[[Any], Awaitable[Result]]) -> Result:
    anthropic = pytest.importorskip("anthropic")
    httpx2 = pytest.importorskip("httpx2")  # what anthropic's client is made of

    async def go() -> Result:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=served.app)) as client:
            return await work(
                anthropic.AsyncAnthropic(base_url="http://test", api_key="none", http_client=client, max_retries=0)
            )

    return asyncio.run(go())


def test_openai_chat_streams(serve: Serve) -> None:
    async def work(client: Any) -> tuple[str, int]:
        stream = await client.chat.completions.create(
            model="tiny", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        text, tokens = "", 0
        async for event in stream:
            text += "".join(choice.delta.content or "" for choice in event.choices)
            tokens = event.usage.completion_tokens if event.usage else tokens
        return text, tokens

    text, tokens = with_openai(serve(["Hello there."]), work)
    assert text == "Hello there."
    assert tokens > 5


def test_openai_completions_and_models(serve: Serve) -> None:
    async def work(client: Any) -> tuple[Any, Any]:
        done = await client.completions.create(
            model="tiny", prompt=["<a>", "<b>"], max_tokens=3, echo=True, logprobs=2, n=2
        )
        return done, await client.models.list()

    done, models = with_openai(serve(["abcdefghijklmno"]), work)
    assert [choice.index for choice in done.choices] == [0, 1, 2, 3]
    assert [choice.text[:3] for choice in done.choices] == ["<a>", "<a>", "<b>", "<b>"]
    assert len(done.choices[0].logprobs.tokens) == 3
    assert done.choices[0].finish_reason == "length"
    assert [model.id for model in models.data] == ["tiny"]


def test_openai_responses_go_on_from_a_stored_one(serve: Serve) -> None:
    async def work(client: Any) -> tuple[Any, Any, list[Any], Any]:
        first = await client.responses.create(model="tiny", input="hi", instructions="Be short.")
        second = await client.responses.create(model="tiny", input="more", previous_response_id=first.id)
        stream = await client.responses.create(model="tiny", input="again", stream=True, reasoning={"effort": "high"})
        events = [event async for event in stream]
        again = await client.responses.retrieve(first.id)
        await client.responses.delete(first.id)
        return first, second, events, again

    first, second, events, again = with_openai(serve(["One.", "Two.", "Hm.\n</think>\nThree."], slots=1), work)
    assert (first.output_text, second.output_text) == ("One.", "Two.")
    assert second.usage.input_tokens > first.usage.input_tokens
    assert again.output_text == "One."
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Three."
    assert "".join(event.delta for event in events if event.type == "response.reasoning_text.delta") == "Hm."
    assert events[-1].response.output_text == "Three."
    assert [item.type for item in events[-1].response.output] == ["reasoning", "message"]


def test_a_forgotten_response_is_not_found(serve: Serve) -> None:
    reply = serve().post("/v1/responses", {"input": "hi", "previous_response_id": "resp_unknown"})
    assert reply.status_code == 404
    assert "resp_unknown" in reply.json()["error"]["message"]


def test_anthropic_messages_whole_and_streamed(serve: Serve) -> None:
    async def work(client: Any) -> tuple[Any, Any, str, int]:
        asked = {"model": "tiny", "max_tokens": 60, "messages": HELLO, "system": "Be short."}
        whole = await client.messages.create(**asked, thinking={"type": "enabled", "budget_tokens": 1024})
        async with client.messages.stream(**asked) as stream:
            said = "".join([text async for text in stream.text_stream])
            final = await stream.get_final_message()
        counted = await client.messages.count_tokens(model="tiny", messages=HELLO)
        return whole, final, said, counted.input_tokens

    whole, final, said, counted = with_anthropic(serve(["Hm.\n</think>\nOne.", "Two."], slots=1), work)
    assert [block.type for block in whole.content] == ["thinking", "text"]
    assert whole.content[1].text == "One."
    assert whole.stop_reason == "end_turn"
    assert said == final.content[0].text == "Two."
    assert final.usage.output_tokens > 3
    assert final.usage.input_tokens + final.usage.cache_read_input_tokens > counted > 10


def test_anthropic_stop_sequences_are_named(serve: Serve) -> None:
    async def work(client: Any) -> Any:
        return await client.messages.create(model="tiny", max_tokens=60, messages=HELLO, stop_sequences=["two"])

    done = with_anthropic(serve(["one two three"]), work)
    assert (done.stop_reason, done.stop_sequence, done.content[0].text) == ("stop_sequence", "two", "one ")


def test_anthropic_errors_have_its_shape(serve: Serve) -> None:
    async def work(client: Any) -> Any:
        with pytest.raises(pytest.importorskip("anthropic").BadRequestError) as caught:
            await client.messages.create(model="tiny", max_tokens=0, messages=HELLO)
        return caught.value.body

    body = with_anthropic(serve(), work)
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert "max_tokens" in body["error"]["message"]
