"""What a person types: lines with editing and history on a terminal, plain lines from a pipe. Start at open_input."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from mambino.cli.terminal import note
from mambino.hub.local import home

if TYPE_CHECKING:
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

QUOTES = '"""'
Read = Callable[[], str | None]


def open_input(*, keep_history: bool) -> Read:
    """A function that returns the next message or /command, never blank, and None at the end.

    keep_history: whether typed lines may be kept in the cache folder for the next time.
    """
    read_line = _terminal_line(keep_history) if sys.stdin.isatty() and sys.stdout.isatty() else _piped_line

    def read() -> str | None:
        while True:
            try:
                text = _message(read_line)
            except EOFError:
                return None
            if text.strip():
                return text

    return read


def _message(read_line: Callable[[bool], str]) -> str:
    """One line, or the lines between two lines that begin and end with three quotes."""
    text = read_line(False)
    if not text.startswith(QUOTES):
        return text
    text = text.removeprefix(QUOTES)
    while not text.rstrip().endswith(QUOTES):
        try:
            text += "\n" + read_line(True)
        except EOFError:
            return text.strip("\n")
    return text.rstrip().removesuffix(QUOTES).strip("\n")


def _piped_line(is_continued: bool) -> str:
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError as error:
        note(f"a line of the input is not UTF-8 text; left out ({error.reason})")
        return ""
    if not line:
        raise EOFError
    return line.removesuffix("\n")


def _terminal_line(keep_history: bool) -> Callable[[bool], str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    from mambino.cli.chat_commands import NAMES

    session: PromptSession[str] = PromptSession(
        history=_history(keep_history),
        key_bindings=_keys(),
        multiline=True,
        completer=WordCompleter([f"/{name}" for name in NAMES], sentence=True),
        complete_while_typing=False,
        prompt_continuation=lambda width, line, wrap_count: "" if wrap_count else ".. ".rjust(width),
        enable_open_in_editor=True,
    )
    was_interrupted = False

    def read_line(is_continued: bool) -> str:
        nonlocal was_interrupted
        while True:
            try:
                text = session.prompt(".. " if is_continued else ">> ")
                was_interrupted = False
                return text
            except KeyboardInterrupt as interrupt:
                if was_interrupted and not session.default_buffer.text:
                    raise EOFError from interrupt
                was_interrupted = True  # the line is cleared
                note("(Ctrl-C again, or Ctrl-D, to leave)")

    return read_line


def _keys() -> "KeyBindings":
    """Enter sends; Alt-Enter, or Esc then Enter, begins a new line."""
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


def _history(is_kept: bool) -> "History":
    """In the cache folder, readable by its owner only; in memory where that may not or cannot be."""
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    path = home() / "chat_history"
    if is_kept:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            path.chmod(0o600)
            return FileHistory(str(path))
        except OSError as error:
            note(f"no history will be kept: {path}: {error.strerror}")
    return InMemoryHistory()
