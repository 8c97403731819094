"""What the model still sees of a conversation that is too long."""

from collections.abc import Sequence

import pytest

from mambino.chat.context import ContextWindow, Reader, Windows
from mambino.chat.messages import Message
from mambino.chat.session import Chat
from mambino.errors import ContextFull, InputError
from mambino.generation.params import SamplingParams
from tiny_chat import ReplyLM, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def conversation(turns: int) -> list[Message]:
    messages = [Message(role="system", content="S" * 10)]
    for number in range(turns):
        messages.append(Message(role="user", content=f"{number}" * 10))
        messages.append(Message(role="assistant", content="a" * 10))
    return messages


def count(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def no_summary(messages: Sequence[Message]) -> str:
    raise AssertionError("not asked for")


READER = Reader(count=count, summarise=no_summary)


def test_what_fits_is_shown_whole() -> None:
    messages = conversation(4)
    assert ContextWindow("drop", 100).fit(messages, 10, READER) == tuple(messages)


def test_the_oldest_turns_go_and_room_is_made_for_several_more() -> None:
    window = ContextWindow("drop", 100)
    messages = conversation(5)
    shown = window.fit(messages, 10, READER)
    assert shown[0].role == "system"
    assert shown[1].role == "user"
    assert count(shown) <= 50
    assert shown[-1] is messages[-1]
    more = [*messages, Message(role="user", content="n" * 10)]
    assert window.fit(more, 10, READER)[1] is shown[1]
    assert window.num_dropped == 6


def test_error_shows_everything_and_an_unknown_policy_is_refused() -> None:
    messages = conversation(9)
    assert ContextWindow("error", 100).fit(messages, 10, READER) == tuple(messages)
    with pytest.raises(InputError, match="error, drop or summarise"):
        ContextWindow("forget", 100)  # type: ignore[arg-type]


def test_summaries_replace_what_they_sum_up_and_build_on_each_other() -> None:
    window = ContextWindow("summarise", 200)
    asked: list[Sequence[Message]] = []

    def summarise(messages: Sequence[Message]) -> str:
        asked.append(messages)
        return f"summary {len(asked)}"

    messages = conversation(10)
    shown = window.fit(messages, 10, Reader(count=count, summarise=summarise))
    assert "summary 1" in shown[1].content
    messages += conversation(6)[1:]
    shown = window.fit(messages, 10, Reader(count=count, summarise=summarise))
    assert "summary 2" in shown[1].content
    assert any("summary 1" in message.content for message in asked[1])


def test_an_edited_conversation_is_seen_from_its_start() -> None:
    window = ContextWindow("drop", 100)
    window.fit(conversation(5), 10, READER)
    edited = [Message(role="user", content="new")]
    assert window.view(edited) == tuple(edited)
    assert window.num_dropped == 0


def test_a_last_message_that_is_too_long_is_an_error() -> None:
    messages = [*conversation(5), Message(role="user", content="x" * 200)]
    with pytest.raises(ContextFull, match="last message alone"):
        ContextWindow("drop", 100).fit(messages, 10, READER)


@pytest.mark.parametrize("policy", ["drop", "summarise"])
def test_a_chat_goes_on_past_its_context(policy: str) -> None:
    model = ReplyLM(TOKENIZER, ["hello"] * 40)
    chat = Chat(
        model,
        TOKENIZER,
        max_tokens=400,
        params=SamplingParams(temperature=0.0, max_tokens=20),
        system="S",
        when_full=policy,  # type: ignore[arg-type]
    )
    for number in range(12):
        assert chat.ask(f"question number {number}") == "hello"
    assert chat.num_dropped > 0
    assert len(chat.messages) == 25


def test_a_server_finds_the_window_of_each_conversation_again() -> None:
    windows = Windows("drop", 100)
    forgotten: list[Sequence[Message]] = []
    reader = Reader(count=count, summarise=no_summary, forget=forgotten.append)
    one, other = conversation(5), [Message(role="user", content="other")]
    shown = windows.fit(one, 10, reader)
    assert windows.fit(other, 10, reader) == tuple(other)
    assert windows.fit([*one, Message(role="user", content="more")], 10, reader)[1] is shown[1]
    assert forgotten == [tuple(one)]
    twin = [*one[:3], Message(role="user", content="another way"), *one[4:]]
    windows.fit(twin, 10, reader)
    windows.fit([*one, Message(role="user", content="more")], 10, reader)
    assert forgotten == [tuple(one), tuple(twin)]
