"""RunRecord: how a set of weights came to be, written beside them as JSON. Start at RunRecord."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy
import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What was trained, on what, by what, and how it went. config and settings are plain JSON values."""

    name: str
    commit: str
    config: dict[str, object]
    settings: dict[str, object]
    data_sha256: dict[str, str]
    num_steps: int
    num_tokens: int
    held_out_loss: dict[str, float]
    trajectory: list[dict[str, float]]
    versions: dict[str, str] = field(default_factory=lambda: library_versions())
    machine: dict[str, object] = field(default_factory=lambda: machine_kind())

    def write(self, path: Path) -> None:
        """Write as JSON, whole or not at all."""
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)


def library_versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}


def machine_kind() -> dict[str, object]:
    """Kind, never name or path."""
    return {"system": platform.system(), "processor": platform.machine(), "torch_threads": torch.get_num_threads()}


def source_commit(folder: Path) -> str:
    """The commit of the source tree, "+changes" if it is edited, "unknown" outside a repository."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
