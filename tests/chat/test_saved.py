"""Conversations on disk: whole or not at all, and only what was meant."""

import json
from pathlib import Path

import pytest

from mambino.chat.messages import Message, ToolCall, message_from_json
from mambino.chat.saved import load_messages, save_messages
from mambino.errors import FormatError, InputError

CALL = ToolCall(id="7", name="add", arguments={"x": 1, "deep": {"y": [None, "é"]}})
EVERY_KIND = [
    Message(role="system", content=""),
    Message(role="user", content='日本 🙂 \x00 \ud800 "q"\r\n'),
    Message(role="assistant", content="", reasoning="hm", tool_calls=(CALL,)),
    Message(role="tool", content="2", tool_call_id="7"),
]


def test_messages_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    save_messages(path, EVERY_KIND, about={"model": "m"})
    assert load_messages(path) == EVERY_KIND
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.json"
    save_messages(path, EVERY_KIND[:1], about={})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_messages(path, EVERY_KIND, about={})
    assert load_messages(path) == EVERY_KIND[:1]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("hi", "expected an object"),
        ({"role": "wizard", "content": ""}, "role must be one of"),
        ({"role": "user", "content": 3}, "content must be text, got int"),
        ({"role": "user", "content": [{"type": "text"}]}, "only text parts are supported"),
        ({"role": "user", "content": "", "name": "x"}, "unknown field 'name'"),
        ({"role": "assistant", "tool_calls": "x"}, "tool_calls must be a list"),
        ({"role": "assistant", "tool_calls": [{}]}, r"tool_calls\[0\]: expected an object with function.name"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}, "not JSON"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": []}}]}, "must be an object"),
    ],
)
def test_a_wrong_message_names_its_place(fields: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        message_from_json(fields)
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"format": "mambino-chat", "version": 1, "messages": [fields]}))
    with pytest.raises(InputError, match=r"messages\[0\]"):
        load_messages(path)


def test_arguments_may_be_json_text() -> None:
    call = {"function": {"name": "f", "arguments": '{"x": 1}'}}
    assert message_from_json({"role": "assistant", "tool_calls": [call]}).tool_calls[0].arguments == {"x": 1}


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "[]", '{"format": "other"}', '{"format": "mambino-chat"}'])
def test_a_file_that_is_no_saved_chat_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=r"c\.json"):
        load_messages(path)
