"""Chat in a real (pseudo) terminal: typing, Ctrl-C, leaving; and what colours and model text may do to one."""

import fcntl
import io
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mambino.cli import terminal

PATIENCE_S = 30.0  # of a test machine that does other things too
PROMPT = "\x1b[?2004h"  # bracketed paste on: a prompt waits for keys


def _take_terminal() -> None:
    """Make standard input the controlling terminal, so that Ctrl-C becomes a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Screen:
    """A `mambino chat` with a pseudo-terminal for its keyboard and screen."""

    def __init__(self) -> None:
        self.main, child = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24", "PROMPT_TOOLKIT_NO_CPR": "1"}
        environment.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("scripted_chat.py"))],
            stdin=child,
            stdout=child,
            stderr=child,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(child)
        self.text = ""

    def wait_for(self, wanted: str, after: int = 0) -> int:
        """Read until wanted appears after that place; where it ends."""
        deadline = time.monotonic() + PATIENCE_S
        while wanted not in self.text[after:]:
            assert time.monotonic() < deadline, f"waited for {wanted!r}, saw {self.text[after:]!r}"
            ready, _, _ = select.select([self.main], [], [], 0.2)
            if ready:
                self.text += os.read(self.main, 65536).decode(errors="replace")
        return self.text.index(wanted, after) + len(wanted)

    def type(self, keys: str) -> None:
        os.write(self.main, keys.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.main)


@pytest.fixture
def screen(home: Path) -> Iterator[Screen]:
    screen = Screen()
    yield screen
    screen.close()


def test_ctrl_c_stops_the_answer_then_leaves_the_chat(screen: Screen, home: Path) -> None:
    place = screen.wait_for(PROMPT)
    screen.type("tell me\x1b\rmuch\r")
    place = screen.wait_for("the end the end", place)
    screen.type("\x03")
    place = screen.wait_for("stopped; what was said so far is kept", place)
    place = screen.wait_for(PROMPT, place)
    screen.type("/undo\r")
    place = screen.wait_for("taken back: tell me much", place)
    screen.wait_for(PROMPT, place)
    screen.type("half\x03")
    place = screen.wait_for("Ctrl-C again", place)
    place = screen.wait_for(PROMPT, place)
    screen.type("\x03")
    assert screen.process.wait(PATIENCE_S) == 0
    assert "Traceback" not in screen.text
    history = home / "chat_history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "tell me" in history.read_text()


def test_thinking_is_dimmed_and_folds_into_a_line(screen: Screen) -> None:
    place = screen.wait_for(PROMPT)
    screen.type("hi\r")
    place = screen.wait_for("\x1b[2mone \x1b[0m", place)
    place = screen.wait_for("thought for", place)
    screen.type("\x03")
    place = screen.wait_for(PROMPT, place)
    screen.type("/think hide\r")
    place = screen.wait_for("folded", place)
    place = screen.wait_for(PROMPT, place)
    screen.type("/regenerate\r")
    place = screen.wait_for("thinking: 0.", place)
    after = screen.wait_for("thought for", place)
    assert "\x1b[2mo" not in screen.text[place:after]


def test_ctrl_d_leaves(screen: Screen) -> None:
    screen.wait_for(PROMPT)
    screen.type("\x04")
    assert screen.process.wait(PATIENCE_S) == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_model_text_cannot_command_the_terminal() -> None:
    shown = terminal.safe("a\x1b]0;title\x07\x1b[2Jb\x9b31m\n\tc\r\x7f", Terminal())
    assert shown == "a␛]0;title␇␛[2Jb�31m\n\tc␍␡"
    assert terminal.safe("a\x1b[2J", io.StringIO()) == "a\x1b[2J"


def test_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.paint("x", "dim", Terminal()) == "\x1b[2mx\x1b[0m"
    assert terminal.paint("x", "dim", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("x", "dim", Terminal()) == "x"
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.paint("x", "dim", Terminal()) == "x"


def test_a_bar_shows_for_long_prompts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr(terminal, "_PATIENCE_S", 0.0)
    progress = terminal.PromptProgress()
    for done in (0, 50, 100):
        progress(done, 100)
    assert screen.getvalue() == ""
    for done in (0, 512, 1024):
        progress(done, 1024)
    assert "512 of 1024 tokens" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("nbytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (98_600_000, "98.6 MB"),
        (2_834_664_096, "2.83 GB"),
        (4e12, "4000 GB"),
    ],
)
def test_sizes_are_three_digits(nbytes: float, shown: str) -> None:
    assert terminal.human_bytes(nbytes) == shown


def test_counts_are_three_digits() -> None:
    assert [terminal.human_count(count) for count in (7, 42_500, 134_515_008, 3.97e9)] == [
        "7",
        "42.5 K",
        "135 M",
        "3.97 B",
    ]
