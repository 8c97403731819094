"""The health of a reinforcement run: a line of JSON a step, and a picture of what to watch. Start at HealthLog."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from mambino.posttrain.rollout import Trajectory
from mambino.train.picture import new_figure, read_log
from mambino.train.report import forget_after

_PANELS = (
    ("reward", ("reward", "reward_thinking")),
    ("tokens a trajectory", ("length",)),
    ("entropy (nats a token)", ("entropy",)),
    ("KL to the reference", ("kl",)),
    ("trainer - sampler, mean |log-probability|", ("mismatch",)),
    ("shares", ("clip_share", "overlong_share", "capped_share")),
)


class HealthLog:
    """health.jsonl of one run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def forget_after(self, step: int) -> None:
        """Drop later steps: they are about to be done again. Mutates the file."""
        forget_after(self._path, step)

    def add(self, health: Mapping[str, object]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(health) + "\n")


def rollout_health(tried: Sequence[Trajectory]) -> dict[str, object]:
    """Rewards by environment and by thinking, lengths, and what has no reward (which is not a reward of 0)."""
    scored = [(one, one.reward.value) for one in tried if one.reward.value is not None]
    names = sorted({one.attempt.task.environment for one in tried})
    return {
        "trajectories": len(tried),
        "unscored": len(tried) - len(scored),
        "unscored_why": sorted({one.reward.evidence[:200] for one in tried if one.reward.value is None})[:3],
        "reward": _mean([value for _, value in scored]),
        "reward_by": {n: _mean([value for one, value in scored if one.attempt.task.environment == n]) for n in names},
        "reward_thinking": _mean([value for one, value in scored if one.attempt.is_thinking]),
        "length": _mean([one.num_sampled for one in tried]),
        "overlong_share": _mean([float(one.finish == "length") for one in tried]),
    }


def mismatch_health(apart: Tensor, importance_cap: float) -> dict[str, object]:
    """Of trainer - sampler log-probabilities (N,): mean and largest |difference|, k3, share of capped weights."""
    return {
        "mismatch": float(apart.abs().mean()),
        "mismatch_max": float(apart.abs().max()),
        "mismatch_kl": float((apart.exp() - 1 - apart).mean()),
        "capped_share": float((apart.exp() > importance_cap).double().mean()),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def plot_health(log: Path, picture: Path) -> None:
    """What a health.jsonl holds, over steps, as PNG; rewards by environment too. Mutates picture.

    Raises     InputError for an empty log; Unsupported without matplotlib
    """
    figure, lines = new_figure(11, 6), read_log(log)
    for axes, (title, names) in zip(figure.subplots(2, 3).flat, _PANELS, strict=True):
        curves = {name: [(line["step"], line.get(name)) for line in lines] for name in names}
        if title == "reward":
            for name in sorted({name for line in lines for name in line["reward_by"]}):
                curves[name] = [(line["step"], line["reward_by"].get(name)) for line in lines]
        for name, points in curves.items():
            known = [(step, value) for step, value in points if value is not None]
            axes.plot([step for step, _ in known], [value for _, value in known], linewidth=1.2, label=name)
        axes.set(title=title, xlabel="step")
        axes.legend(fontsize=7)
    figure.savefig(picture, dpi=110)
