"""How an answer looks while it comes: wrapped at words, thinking dimmed or folded to a line. Start at AnswerView."""

import json
import shutil
import sys
from collections.abc import Iterable

from mambino.chat.context import WARN_SHARE
from mambino.chat.events import CallEnded, ChatEvent, TextPart, ToolFinished
from mambino.chat.session import Chat
from mambino.chat.turn import Turn
from mambino.cli.terminal import PromptProgress, Style, has_colour, note, paint, write
from mambino.cli.wrap import WordWrap


class AnswerView:
    """Shows answers on standard output; into a pipe, their content alone.

    shows_thinking False folds reasoning into a line that counts. progress is for the prompt, before the answer.
    """

    def __init__(self) -> None:
        self.shows_thinking = True
        self.progress = PromptProgress()
        self._wrap: WordWrap | None = None  # of the text being written; None where standard output is no terminal

    def show(self, answer: Iterable[ChatEvent], chat: Chat) -> None:
        """Print answer as it comes, and what needs saying about how it ended."""
        try:
            is_thinking, ends_line = self._stream(answer, chat)
        finally:
            self.progress.clear()
        turn = chat.last_turn
        if turn is None:
            note("stopped before the answer began; the question was taken back")
            return
        if is_thinking:
            self._end_thinking(turn, ends_line)
        elif not ends_line:
            write("\n", sys.stdout)
        _say_how_it_ended(turn, chat)

    def _stream(self, answer: Iterable[ChatEvent], chat: Chat) -> tuple[bool, bool]:
        """Print the parts; whether the last one was thinking, and whether the cursor is at the start of a line."""
        is_thinking, ends_line = False, True
        self._start_line()
        try:
            for part in answer:
                turn = chat.last_turn
                if not isinstance(part, TextPart):
                    self._finish_word()
                    ends_line = self._show_call(part) or ends_line
                elif part.kind == "content":
                    if is_thinking and turn is not None:
                        self._end_thinking(turn, ends_line)
                    is_thinking, ends_line = False, part.text.endswith("\n")
                    self._write(part.text)
                elif sys.stdout.isatty():
                    is_thinking = True
                    if self.shows_thinking:
                        ends_line = part.text.endswith("\n")
                        self._write(part.text, "dim")
                    elif turn is not None:
                        self._count(turn)
        finally:
            self._finish_word("dim" if is_thinking else None)
        return is_thinking, ends_line

    def _show_call(self, event: ChatEvent) -> bool:
        """A line for a call and one for what it said; whether there was one."""
        if not sys.stdout.isatty():
            return False
        if isinstance(event, CallEnded):
            arguments = ", ".join(f"{name}={json.dumps(value)}" for name, value in event.call.arguments.items())
            repaired = f" (repaired: {'; '.join(event.repairs)})" if event.repairs else ""
            write(_cut(f"\n> {event.call.name}({arguments}){repaired}") + "\n", sys.stdout, "dim")
        elif isinstance(event, ToolFinished):
            write(_cut(f"< {' '.join(event.text.split())}") + "\n", sys.stdout, "red" if event.is_error else "dim")
        else:
            return False
        self._start_line()
        return True

    def _start_line(self) -> None:
        self._wrap = WordWrap(shutil.get_terminal_size().columns) if sys.stdout.isatty() else None

    def _write(self, text: str, style: Style | None = None) -> None:
        write(text if self._wrap is None else self._wrap.feed(text), sys.stdout, style)

    def _finish_word(self, style: Style | None = None) -> None:
        if self._wrap is not None:
            write(self._wrap.finish(), sys.stdout, style)

    def _count(self, turn: Turn) -> None:
        if has_colour(sys.stdout):
            sys.stdout.write("\r\x1b[K" + paint(f"thinking: {_amount(turn)}", "dim", sys.stdout))
            sys.stdout.flush()

    def _end_thinking(self, turn: Turn, ends_line: bool) -> None:
        self._finish_word("dim")
        if has_colour(sys.stdout) and not self.shows_thinking:
            sys.stdout.write("\r\x1b[K")
        elif not ends_line:
            write("\n", sys.stdout)
        write(f"thought for {_amount(turn)}\n", sys.stdout, "dim")
        self._start_line()


def _cut(line: str) -> str:
    width = max(20, shutil.get_terminal_size().columns - 1)
    return line if len(line) <= width else line[: width - 3] + "..."


def _amount(turn: Turn) -> str:
    return f"{turn.reasoning_s:.1f} s, {turn.reasoning_tokens} tokens"


def _say_how_it_ended(turn: Turn, chat: Chat) -> None:
    if turn.finish_reason == "interrupted":
        note("stopped; what was said so far is kept (/undo takes it back)")
    elif turn.finish_reason == "length":
        note(f"cut off at max_tokens {chat.params.max_tokens} (/set max_tokens)")
    elif turn.finish_reason == "context":
        note(
            f"the context of {chat.max_tokens} tokens is full: /undo, /clear, or start again with a larger --context; "
            "/save keeps the conversation"
        )
    elif chat.used_tokens > WARN_SHARE * chat.max_tokens:
        note(f"the context is nearly full: {chat.used_tokens} of {chat.max_tokens} tokens")
    if chat.num_dropped:
        note(f"the model no longer sees the first {chat.num_dropped} messages (--when-full)")
