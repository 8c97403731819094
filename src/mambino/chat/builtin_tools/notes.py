"""A notebook on disk as tools: one text file, one note a line, never larger than its cap.

The path is the user's choice; a model gives text only. Start at Notes.
"""

import contextlib
import os
import tempfile
import threading
from pathlib import Path

from mambino.chat.tools import Tool, tool
from mambino.errors import ToolError

MAX_FILE_BYTES = 64 * 1024
MAX_NOTE_CHARS = 1000


class Notes:
    """Numbered lines of one file, written as a whole or not at all. Safe from several threads of one process."""

    def __init__(self, path: Path, *, max_nbytes: int = MAX_FILE_BYTES) -> None:
        """The file is made with the first note; its folder must exist."""
        self._path = path
        self._max_nbytes = max_nbytes
        self._lock = threading.Lock()

    def lines(self) -> list[str]:
        """Raises ToolError if the file cannot be read."""
        try:
            with self._path.open("rb") as file:
                content = file.read(self._max_nbytes + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ToolError(f"the notes cannot be read: {error.strerror}") from error
        return content.decode("utf-8", errors="replace").splitlines()

    def add(self, text: str) -> int:
        """The number of the new note. Raises ToolError if it is empty, too long, or does not fit."""
        note = " ".join(text.split())
        if not note or len(note) > MAX_NOTE_CHARS:
            raise ToolError(f"a note has 1 to {MAX_NOTE_CHARS} characters, this one has {len(note)}")
        with self._lock:
            lines = [*self.lines(), note]
            self._write(lines)
            return len(lines)

    def remove(self, number: int) -> str:
        """The text of the note that is gone; later ones move up. Raises ToolError if there is none."""
        with self._lock:
            lines = self.lines()
            if not 1 <= number <= len(lines):
                raise ToolError(f"there is no note {number}; there are {len(lines)}")
            removed = lines.pop(number - 1)
            self._write(lines)
            return removed

    def _write(self, lines: list[str]) -> None:
        content = "".join(f"{line}\n" for line in lines).encode("utf-8", errors="replace")
        if len(content) > self._max_nbytes:
            raise ToolError(f"the notes are full ({self._max_nbytes} bytes); remove some first")
        try:
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".notes-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                os.replace(name, self._path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as error:
            raise ToolError(f"the notes cannot be written: {error.strerror}") from error


def notes_tools(notes: Notes) -> tuple[Tool, ...]:
    """Write, read and remove notes."""

    @tool
    def write_note(text: str) -> str:
        """Write down something to remember.

        Args:
            text: One note, in a sentence.
        """
        return f"Noted as number {notes.add(text)}."

    @tool
    def read_notes() -> str:
        """Read all notes, with their numbers."""
        return "\n".join(f"{number}. {line}" for number, line in enumerate(notes.lines(), 1)) or "There are no notes."

    @tool
    def remove_note(number: int) -> str:
        """Remove one note.

        Args:
            number: The number that read_notes shows.
        """
        return f"Removed: {notes.remove(number)}"

    return (write_note, read_notes, remove_note)
