"""A chat runs what the model calls, tells it what came of it, and knows when to stop."""

import asyncio

import pytest

from mambino.chat.events import CallEnded, ChatEvent, TextPart, ToolFinished
from mambino.chat.session import MAX_TOOL_ROUNDS, Chat
from mambino.generation.params import SamplingParams
from tiny_chat import ReplyLM, tiny_tokenizer
from tool_template import TOOL_TEMPLATE, written_call

TOKENIZER = tiny_tokenizer(TOOL_TEMPLATE)


def call(value: str) -> str:
    return written_call("add", number=value)


def add(number: int) -> str:
    """Add one."""
    if number == 13:
        raise ValueError("unlucky")
    return str(number + 1)


def chat_of(*replies: str) -> Chat:
    return Chat(
        ReplyLM(TOKENIZER, replies),
        TOKENIZER,
        max_tokens=4096,
        params=SamplingParams(temperature=0.0, max_tokens=200),
        tools=[add],
    )


def ran(events: list[ChatEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, ToolFinished)]


def test_a_call_is_run_and_its_result_answered() -> None:
    chat = chat_of(call("4"), "it is five")
    events = list(chat.reply("4 and 1?"))
    (ended,) = [event for event in events if isinstance(event, CallEnded)]
    assert ended.call.arguments == {"number": 4}
    assert ran(events) == ["5"]
    assert [message.role for message in chat.messages] == ["user", "assistant", "tool", "assistant"]
    assert chat.messages[2].tool_call_id == chat.messages[1].tool_calls[0].id
    assert chat.messages[-1].content == "it is five"


def test_calls_side_by_side_are_all_run_in_order() -> None:
    chat = chat_of(call("1") + "\n" + call("2"), "done")
    assert ran(list(chat.reply("go"))) == ["2", "3"]


def test_a_failing_tool_is_told_to_the_model() -> None:
    chat = chat_of(call("13"), "sorry")
    events = list(chat.reply("go"))
    assert "unlucky" in ran(events)[0]
    assert [event.is_error for event in events if isinstance(event, ToolFinished)] == [True]
    assert chat.ask("and?") == "sorry"


def test_the_same_call_again_and_again_ends() -> None:
    chat = chat_of(*[call("1")] * 50)
    events = list(chat.reply("go"))
    assert sum(isinstance(event, ToolFinished) for event in events) <= MAX_TOOL_ROUNDS
    assert any(event.is_repeat for event in events if isinstance(event, ToolFinished))


def test_stopping_between_call_and_result_leaves_a_history_that_renders() -> None:
    chat = chat_of(call("1"), "done", "more")
    for event in chat.reply("go"):
        if isinstance(event, CallEnded):
            chat.stop()
    assert chat.messages[-1].role == "tool"
    assert "not run" in chat.messages[-1].content
    assert chat.ask("go on") == "done"


def test_async_chats_give_the_same_events() -> None:
    async def all_of(chat: Chat) -> list[ChatEvent]:
        return [event async for event in chat.reply_async("4 and 1?")]

    expected = list(chat_of(call("4"), "it is five").reply("4 and 1?"))
    events = asyncio.run(all_of(chat_of(call("4"), "it is five")))
    assert [type(event) for event in events] == [type(event) for event in expected]
    text = [event.text for event in events if isinstance(event, TextPart)]
    assert text == [event.text for event in expected if isinstance(event, TextPart)]
    assert asyncio.run(chat_of("hello").ask_async("hi")) == "hello"


def test_without_tools_a_call_is_text() -> None:
    chat = chat_of(call("1"))
    chat = Chat(chat.answerer.model, TOKENIZER, max_tokens=4096, params=SamplingParams(temperature=0.0))
    assert "<function=add>" in chat.ask("go")


@pytest.mark.parametrize("reply", ["hello", call("1")])
def test_every_answer_ends_in_a_turn(reply: str) -> None:
    chat = chat_of(reply, "done")
    list(chat.reply("go"))
    assert chat.last_turn is not None
    assert chat.last_turn.finish_reason == "stop"
