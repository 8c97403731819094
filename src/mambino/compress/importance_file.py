"""Importance on disk: a folder with scores.safetensors, ranking.json, and (with matplotlib) scores.png.

Start at write_importance and read_importance.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mambino.compress.importance import Importance
from mambino.errors import FormatError
from mambino.formats.json_file import read_json
from mambino.formats.mapped import replacing
from mambino.formats.safetensors import open_safetensors, write_safetensors
from mambino.formats.tensor import tensor_from_float32
from mambino.train.picture import new_figure

_SCORES, _RANKING, _PLOT = "scores.safetensors", "ranking.json", "scores.png"


def write_importance(folder: Path, importance: Importance) -> None:
    """Write the scores (float32) and the ranking of layers. Mutates folder."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {"hidden": importance.hidden}
    for kind, scores in (
        ("heads", importance.heads), ("channels", importance.channels), ("neurons", importance.neurons)
    ):  # fmt: skip
        named |= {f"layers.{index}.{kind}": values for index, values in scores.items()}
    write_safetensors(
        folder / _SCORES, [tensor_from_float32(name, values.astype(np.float32)) for name, values in named.items()]
    )
    ranking = {
        "depth_order": list(importance.depth_order),
        "depth_scores": {str(i): (None if np.isnan(s) else s) for i, s in importance.depth_scores.items()},
        "num_tokens": importance.num_tokens,
    }
    with replacing(folder / _RANKING) as file:
        file.write(json.dumps(ranking, indent=1).encode() + b"\n")


def read_importance(folder: Path) -> Importance:
    """What write_importance wrote. Raises FormatError if it is damaged."""
    tensors, ranking = open_safetensors(folder / _SCORES), read_json(folder / _RANKING)
    order, scores = ranking.get("depth_order"), ranking.get("depth_scores")
    is_order = isinstance(order, list) and all(type(index) is int for index in order)
    if not is_order or not isinstance(scores, dict) or "hidden" not in tensors:
        raise FormatError(f"{folder}: not the output of `mambino compress rank`; rank the model again")
    assert isinstance(order, list)
    by_kind: dict[str, dict[int, NDArray[np.float64]]] = {"heads": {}, "channels": {}, "neurons": {}}
    for name, tensor in tensors.items():
        if name != "hidden":
            parts = name.split(".")
            if len(parts) != 3 or parts[2] not in by_kind or not parts[1].isdecimal():
                raise FormatError(f"{folder}: unexpected scores {name!r:.60}; rank the model again")
            by_kind[parts[2]][int(parts[1])] = tensor.to_float32().astype(np.float64)
    return Importance(
        hidden=tensors["hidden"].to_float32().astype(np.float64),
        heads=by_kind["heads"], channels=by_kind["channels"], neurons=by_kind["neurons"],
        depth_order=tuple(order),
        depth_scores={int(index): float("nan") if score is None else float(score) for index, score in scores.items()},
        num_tokens=int(str(ranking.get("num_tokens", 0))),
    )  # fmt: skip


def plot_importance(folder: Path, importance: Importance) -> Path:
    """Sorted scores of every axis, one line a layer, and what each layer's removal cost. Mutates folder.

    Raises     Unsupported without matplotlib
    """
    figure = new_figure(12, 7)
    axes = figure.subplots(2, 3).flat
    panels = {
        "hidden channels": {0: importance.hidden},
        "Mamba and attention heads": importance.heads,
        "Mamba head channels": importance.channels,
        "MLP neurons": importance.neurons,
    }
    for panel, (title, scores) in zip(axes, panels.items(), strict=False):
        for index, values in scores.items():
            falling = np.sort(values)[::-1]
            panel.plot(np.linspace(0, 1, len(falling)), falling / max(falling[0], 1e-30), label=f"layer {index}")
        panel.set(title=title, xlabel="share kept", ylabel="score / best", ylim=(0, 1.05))
    removed = [index for index in reversed(importance.depth_order) if index in importance.depth_scores]
    axes[4].bar([str(index) for index in removed], [importance.depth_scores[index] for index in removed])
    axes[4].set(title="layers in order of removal", xlabel="layer", ylabel="normalised logit error")
    axes[5].set_axis_off()
    path = folder / _PLOT
    figure.savefig(path, dpi=110)
    return path
