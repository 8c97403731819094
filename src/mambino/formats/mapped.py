"""A whole file as read-only bytes (mapped, not read), and atomic replacement of a file.

Knows the operating system's refusals and turns them into FormatError that names the file. Start at map_file.
"""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError


def map_file(path: Path) -> NDArray[np.uint8]:
    """All bytes of path as a read-only uint8 view; the mapping lives as long as any view of it.

    Raises     FormatError if the file is missing, unreadable, not a file, or empty
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise FormatError(f"{path}: the file is empty; fetch or export it again")
            return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: cannot be read: {_reason(error)}") from error


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that becomes path when the block ends, and leaves no trace if it raises.

    Raises     FormatError if it cannot be written (no space left, no permission)
    """
    temporary = path.parent / f".{path.name}.{token_hex(4)}.part"
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        what = f"cannot be written: {_reason(error)}"
        raise FormatError(f"{path}: {what}; free some space or choose another place") from error
    finally:
        with suppress(OSError):  # already renamed, or never made
            temporary.unlink()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
