"""A run folder belongs to one run: the same data and settings go on there, others are refused."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mambino.errors import InputError
from mambino.formats.mapped import replacing


def require_same_run(folder: Path, about: Mapping[str, object]) -> None:
    """The first run in folder leaves word of what it is; a later one must be the same. Mutates folder.

    about      what the run is, as JSON values
    Raises     InputError if folder holds a run about something else
    """
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    path = folder / "run.sha256"
    if path.exists() and path.read_text(encoding="ascii").strip() != digest:
        raise InputError(f"{folder}: holds a run on other data or with other settings; choose a fresh --folder")
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(digest.encode() + b"\n")
