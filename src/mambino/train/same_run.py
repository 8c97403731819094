"""A run folder belongs to one run: the same data and settings go on there, others are refused.

Start at require_same_run.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch

from mambino.errors import InputError
from mambino.formats.mapped import replacing
from mambino.model.hybrid import HybridLM

_WORD = "run.sha256"
_SAVES = ("latest.pt", "latest.json")  # of one process, of several


def require_same_run(folder: Path, about: Mapping[str, object]) -> None:
    """The first run in folder leaves word of what it is; a later one must be the same. Mutates folder.

    about      what the run is, as JSON values
    Raises     InputError if folder holds a run about something else, or a saved one that left no word
    """
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest().encode()
    path = folder / _WORD
    if path.exists():
        is_same = path.read_bytes().strip() == digest
    else:
        is_same = not any((folder / name).exists() for name in _SAVES)
    if not is_same:
        raise InputError(f"{folder}: holds a run on other data or with other settings; choose a fresh --folder")
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(digest + b"\n")


def model_sha256(model: HybridLM) -> str:
    """Of the config and of every weight as it is in memory: what a run is about. model is not sharded."""
    digest = hashlib.sha256(repr(model.config).encode())
    for name, weight in model.state_dict().items():
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
