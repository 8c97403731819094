"""Pictures of runs: an empty figure, and the lines of a log to draw. Start at new_figure."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mambino.errors import InputError, Unsupported

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> "Figure":
    """Of so many inches, without a window. Raises Unsupported without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Unsupported("[train] plots need matplotlib: pip install 'mambino[train]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def read_log(log: Path) -> list[dict[str, Any]]:
    """The objects of a .jsonl file, in order. Raises InputError if there are none; OSError if unreadable."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    if not lines:
        raise InputError(f"[train] {log}: holds no steps yet")
    return lines
