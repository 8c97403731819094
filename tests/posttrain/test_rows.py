"""Every fault of a file of chats is named by its line; what is sound is read as it stands."""

import json
from pathlib import Path

import pytest

from mambino.errors import InputError
from mambino.posttrain.rows import read_rows, require_sound

CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"what": "key"}'}}
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}
USER = {"role": "user", "content": "Hello?"}
ANSWER = {"role": "assistant", "content": "Hello."}


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_a_sound_conversation_with_tools_and_reasoning_is_read(tmp_path: Path) -> None:
    row = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            USER,
            {"role": "assistant", "content": None, "reasoning_content": "Look.", "tool_calls": [CALL], "refusal": None},
            {"role": "tool", "content": "There.", "tool_call_id": "c1", "name": "find"},
            ANSWER | {"weight": 0},
            USER,
            ANSWER,
        ],
        "tools": [TOOL],
        "uuid": "kept out",
    }
    read = read_rows(write(tmp_path / "rows.jsonl", "", row))
    assert not read.faults
    (one,) = read.rows
    assert one.line == 2
    assert one.is_trained == (False, False, True, False, False, False, True)
    assert one.tools[0]["name"] == "find"
    assert one.messages[2].tool_calls[0].arguments == {"what": "key"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "not JSON"),
        ([], "expected an object"),
        ({"messages": []}, "expected an object"),
        ({"messages": [USER]}, "no assistant message"),
        ({"messages": [USER, ANSWER | {"weight": 0}]}, "no assistant message"),
        ({"messages": [USER, ANSWER | {"weight": 0.5}]}, "weight must be 0 or 1"),
        ({"messages": [USER, {"role": "bot", "content": "x"}]}, "role must be one of"),
        ({"messages": [ANSWER]}, "an answer to nothing"),
        ({"messages": [USER, {"role": "system", "content": "x"}, ANSWER]}, "must come first"),
        ({"messages": [USER, {"role": "assistant", "content": ""}]}, "an empty answer"),
        ({"messages": [USER | {"reasoning_content": "x"}, ANSWER]}, "only an assistant reasons"),
        ({"messages": [USER, ANSWER | {"tool_calls": [CALL]}]}, "calls the tool 'find'"),
        ({"messages": [USER, {"role": "tool", "content": "x"}, ANSWER]}, "the result of no call"),
        ({"messages": [USER, ANSWER], "tools": {}}, "tools must be a list"),
        ({"messages": [USER, ANSWER], "tools": [TOOL, TOOL]}, "two tools"),
        (
            {"messages": [USER, ANSWER | {"tool_calls": [CALL]}, {"role": "tool", "content": "", "tool_call_id": "c2"}],
             "tools": [TOOL]},
            "answers no call",
        ),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line(tmp_path: Path, row: object, words: str) -> None:
    read = read_rows(write(tmp_path / "rows.jsonl", {"messages": [USER, ANSWER]}, row))
    assert len(read.rows) == 1
    assert any(fault.line == 2 and words in fault.problem for fault in read.faults)


def test_all_faults_are_reported_not_only_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", "{", {"messages": [USER]}, {"messages": [USER, ANSWER]}, "[1]")
    read = read_rows(path)
    with pytest.raises(InputError, match=r"3 faults(?s:.*)line 1:(?s:.*)line 2:(?s:.*)line 4:"):
        require_sound(path, read.faults, len(read.rows))


def test_a_file_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    read = read_rows(write(tmp_path / "rows.jsonl", ""))
    with pytest.raises(InputError, match="no rows"):
        require_sound(tmp_path / "rows.jsonl", read.faults, len(read.rows))
