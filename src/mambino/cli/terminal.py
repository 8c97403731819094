"""What a terminal can show: colours where they are wanted, model text without escape codes, numbers for people.

Knows nothing of models. A stream that is not a terminal gets plain text.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TextIO

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

Style = Literal["dim", "bold", "red", "green", "yellow"]
_CODES: dict[Style, str] = {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33"}

# Text from a model or a file may hold escape codes; on a terminal they are shown, not obeyed.
_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"} | {127: "\u2421"}
_CONTROLS |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")

_BAR_CELLS = 24
_PATIENCE_S = 0.3  # a bar that would vanish sooner is not shown,
_LONG_PROMPT = 256  # nor one for a prompt of fewer tokens


def has_colour(stream: TextIO) -> bool:
    """Whether stream is a terminal that shows styles. NO_COLOR (https://no-color.org) turns them off."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: Style, stream: TextIO) -> str:
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if text and has_colour(stream) else text


def safe(text: str, stream: TextIO) -> str:
    """text as it may be written to stream: unchanged to a file or pipe, without control characters to a terminal."""
    return text.translate(_CONTROLS) if stream.isatty() else text


def write(text: str, stream: TextIO, style: Style | None = None) -> None:
    """Write model text at once, and flush."""
    shown = safe(text, stream)
    stream.write(shown if style is None else paint(shown, style, stream))
    stream.flush()


def note(message: str) -> None:
    """A line beside the output: to standard error, dimmed."""
    print(paint(message, "dim", sys.stderr), file=sys.stderr)


def human_bytes(nbytes: float) -> str:
    """In powers of 1000, three digits: 98.6 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if nbytes < 999.5 or unit == "GB":
            return f"{nbytes:.3g} {unit}" if nbytes < 999.5 else f"{nbytes:.0f} {unit}"
        nbytes /= 1000
    raise AssertionError("unreachable")


def human_count(count: float) -> str:
    """135 M, 3.97 B."""
    for unit in ("", " K", " M", " B"):
        if count < 999.5 or unit == " B":
            return f"{count:.3g}{unit}"
        count /= 1000
    raise AssertionError("unreachable")


@contextmanager
def quiet_keyboard() -> Iterator[None]:
    """Keys typed meanwhile (and ^C) do not show up in the output; they are not lost. Only where there is a terminal."""
    if termios is None or not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    termios.tcsetattr(descriptor, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class PromptProgress:
    """A bar on standard error while a long prompt is read; nothing where that is no terminal, or it is quick.

    Call it with (done, total); clear() removes the bar.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._is_shown = False

    def __call__(self, done: int, total: int) -> None:
        if not has_colour(sys.stderr):
            return
        if done == 0:
            self._started = time.monotonic()
        elif done >= total:
            self.clear()
        elif total >= _LONG_PROMPT and time.monotonic() - self._started > _PATIENCE_S:
            full = _BAR_CELLS * done // total
            bar = "#" * full + "." * (_BAR_CELLS - full)
            sys.stderr.write("\r" + paint(f"reading [{bar}] {done} of {total} tokens", "dim", sys.stderr))
            sys.stderr.flush()
            self._is_shown = True

    def clear(self) -> None:
        """Remove the bar if it is there. Mutates self."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._is_shown = False
