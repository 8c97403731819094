"""mambino chat through a pipe: every line a message or a /command."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest


def chat(mambino: Any, *lines: str, args: tuple[str, ...] = ()) -> tuple[str, str]:
    code, out, err = mambino("chat", *args, stdin="\n".join(lines) + "\n")
    assert code == 0
    return out, err


def test_lines_are_answered_in_turn(mambino: Any, script: Any) -> None:
    script("hello", "the end")
    out, _ = chat(mambino, "hi", "", "and?")
    assert out == "hello\nthe end\n"


def test_the_defaults_are_shown_with_where_they_come_from(mambino: Any, script: Any) -> None:
    script("hello", defaults={"temperature": 0.7, "top_p": 0.9})
    _, err = chat(mambino, args=("--seed", "3"))
    assert "sampling: temperature 0.7, top_p 0.9 (recommended by the model); seed 3 (yours)" in err
    script("hello")
    assert "temperature 0.7, top_p 0.95 (mambino's default)" in chat(mambino)[1]


def test_nothing_is_coloured_in_a_pipe(mambino: Any, script: Any) -> None:
    script("hmm</think>\nhello")
    out, err = chat(mambino, "hi", "/stats", "/help", "/nonsense", args=("--think",))
    assert "\x1b" not in out + err
    assert out == "hello\n"


def test_three_quotes_hold_several_lines(mambino: Any, script: Any, tmp_path: Path) -> None:
    script("hello")
    chat(mambino, '"""one', "two", 'three"""', f"/save {tmp_path}/c.json")
    assert json.loads((tmp_path / "c.json").read_text())["messages"][0]["content"] == "one\ntwo\nthree"


def test_two_slashes_begin_a_message_with_one(mambino: Any, script: Any, tmp_path: Path) -> None:
    script("hello")
    chat(mambino, "//etc is a folder", f"/save {tmp_path}/c.json")
    assert json.loads((tmp_path / "c.json").read_text())["messages"][0]["content"] == "/etc is a folder"


def test_commands_change_the_conversation(mambino: Any, script: Any, tmp_path: Path) -> None:
    script("hello", "the", "end")
    file = tmp_path / "c.json"
    _, err = chat(
        mambino,
        "/system Be kind.",
        "one",
        "two",
        "/undo",
        "/set temperature 0.25",
        "/set stop none",
        "/regen",
        f"/save {file}",
        "/stats",
        "/system",
        "/quit",
        "never said",
    )
    saved = json.loads(file.read_text())
    assert [(message["role"], message["content"]) for message in saved["messages"]] == [
        ("system", "Be kind."),
        ("user", "one"),
        ("assistant", "end"),
    ]
    assert saved["sampling"]["temperature"] == 0.25
    assert "taken back: two" in err
    assert "temperature 0.25 (yours)" in err
    assert "system: Be kind." in err
    assert "reused" in err
    assert "context  " in err


def test_a_saved_conversation_goes_on(mambino: Any, script: Any, tmp_path: Path) -> None:
    script("hello", "the")
    file = tmp_path / "c.json"
    chat(mambino, "one", f"/save {file}")
    script("the")
    _, err = chat(mambino, "two", f"/save {file}", args=("--load", str(file)))
    assert "1 questions; last: hello" in err
    contents = [message["content"] for message in json.loads(file.read_text())["messages"]]
    assert contents == ["one", "hello", "two", "the"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/nonsense", "no command /nonsense"),
        ("/s", "may be /system or /set or /stats or /save"),
        ("/set warmth 3", "unknown setting 'warmth'"),
        ("/set temperature hot", "expected a number or none, got 'hot'"),
        ("/set temperature -1", "temperature: expected"),
        ("/set temperature", "needs a value"),
        ("/think maybe", "expected on, off, auto, a number of tokens, show or hide"),
        ("/save", "needs a file name"),
        ("/save /nonexistent/c.json", "No such file or directory"),
        ("/load /nonexistent/c.json", "No such file or directory"),
        ("/regenerate", "no question"),
    ],
)
def test_a_wrong_command_is_explained_and_the_chat_goes_on(mambino: Any, script: Any, line: str, said: str) -> None:
    script("hello")
    out, err = chat(mambino, line, "hi")
    assert said in err
    assert out == "hello\n"


def test_only_saved_chats_are_overwritten_or_loaded(mambino: Any, script: Any, tmp_path: Path) -> None:
    script("hello")
    (tmp_path / "diary.txt").write_text("precious")
    (tmp_path / "other.json").write_text('{"format": "mambino-chat", "version": 9}')
    _, err = chat(mambino, f"/save {tmp_path}/diary.txt", f"/load {tmp_path}/diary.txt", f"/load {tmp_path}/other.json")
    assert "is not a saved chat; choose another name" in err
    assert "not JSON" in err
    assert "version 9" in err
    assert (tmp_path / "diary.txt").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["diary.txt", "other.json"]


def test_thinking_is_switched_and_kept_out_of_the_pipe(mambino: Any, script: Any) -> None:
    script("hmm</think>\nhello", "the")
    out, err = chat(mambino, "/think on", "hi", "/stats", "/think off", "hi", "/think hide")
    assert out == "hello\nthe\n"
    assert "4 of them thinking" in err
    assert "thinking: off, folded" in err


def test_a_full_context_is_said_and_undo_makes_room(mambino: Any, script: Any) -> None:
    script("hello " * 60, "the")
    out, err = chat(mambino, "hi", "long " * 30, "/undo", "ok", args=("--context", "90"))
    assert "context of 90 tokens is full" in err
    assert "90 fit with the answer; take something back" in err
    assert out.endswith("the\n")


def test_ctrl_c_stops_the_answer_and_keeps_the_chat(mambino: Any, script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = script("hello the end", "the")
    scripted = model._scripted

    def interrupting(ids: tuple[int, ...], vocab_size: int) -> object:
        if model.answered == 1 and ids[-1] == 261:  # after "hello"
            signal.raise_signal(signal.SIGINT)
        return scripted(ids, vocab_size)

    monkeypatch.setattr(model, "_logits_after", interrupting)
    before = signal.getsignal(signal.SIGINT)
    out, err = chat(mambino, "hi", "more")
    assert out.startswith("hello ")
    assert out.endswith("\nthe\n")
    assert "end" not in out
    assert "stopped; what was said so far is kept" in err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_bad_line_of_input_does_not_end_the_chat(mambino: Any, script: Any) -> None:
    script("hello")
    code, out, err = mambino("chat", stdin=b"\xff\xfe\nhi\n")
    assert (code, out) == (0, "hello\n")
    assert "not UTF-8" in err
