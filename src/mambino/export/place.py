"""Where a result will go, looked at before anything is computed. Start at require_place and require_model_place."""

from pathlib import Path
from tempfile import TemporaryFile

from mambino.errors import InputError


def require_place(path: Path, *, makes_parents: bool = False) -> None:
    """Nothing is at path, and something can be written there. makes_parents: the writer makes folders on the way.

    Raises     InputError, naming path and what is in the way
    """
    if path.exists():
        raise InputError(f"{path}: already exists; remove it or choose another name")
    folder = path.parent
    while makes_parents and not folder.exists():
        folder = folder.parent
    try:
        with TemporaryFile(dir=folder):  # leaves no trace; permission bits alone would not tell of a read-only disk
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {folder}: {error.strerror}; choose another place") from error


def require_model_place(path: Path) -> None:
    """require_place of a model or an adapter: the writers of folders make parents, those of .gguf files do not."""
    require_place(path, makes_parents=path.suffix != ".gguf")
