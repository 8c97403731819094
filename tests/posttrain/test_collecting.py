"""The same run whoever tries the tasks: this process, two processes of torchrun, Ray workers, also when one dies."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mambino.errors import InputError, Unsupported
from mambino.posttrain.cluster import RayRollouts, _asked
from mambino.posttrain.collecting import at_home, portable, shares
from mambino.posttrain.rollout import Attempt
from posttrain.grpo_run import STEPS, run, tasks, worker

pytestmark = pytest.mark.torch

TOLERANCE = 1e-5  # gradients of float32 are summed in another order
HAS_RAY = importlib.util.find_spec("ray") is not None
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def health(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "health.jsonl").read_text().splitlines()]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    names = ("reward", "trajectories", "groups", "trained_tokens", "loss", "entropy", "mismatch", "grad_norm")
    return all(one[name] == pytest.approx(other[name], abs=TOLERANCE) for name in names)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "latest.pt", weights_only=True)["model"]


def two_processes(folder: Path, steps: int) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(Path(__file__).with_name("grpo_run.py")), str(folder), str(steps)],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_make_the_steps_of_one_also_after_a_stop(tmp_path: Path) -> None:
    run(tmp_path / "one")
    two_processes(tmp_path / "two", 2)
    assert len(health(tmp_path / "two")) == 2
    two_processes(tmp_path / "two", STEPS)
    one, two = health(tmp_path / "one"), health(tmp_path / "two")
    assert len(one) == len(two) == STEPS
    assert any(line["trained_tokens"] for line in one)
    assert all(same(a, b) for a, b in zip(one, two, strict=True))
    for name, value in weights_of(tmp_path / "one").items():
        torch.testing.assert_close(value, weights_of(tmp_path / "two")[name], atol=TOLERANCE, rtol=0)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="ray is not installed (extra cluster): Ray rollout workers untested")
def test_ray_workers_make_the_run_of_one_process_also_when_one_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    run(tmp_path / "one")
    rollouts = RayRollouts(worker, workers=2)
    try:
        run(tmp_path / "ray", rollouts=rollouts.refreshed, steps=2)
        ray.kill(rollouts._workers[1])
        run(tmp_path / "ray", rollouts=rollouts.refreshed)
    finally:
        rollouts.close()
    assert rollouts.replaced == 1
    one, far = health(tmp_path / "one"), health(tmp_path / "ray")
    assert all(same(a, b) for a, b in zip(one, far, strict=True))
    for name, value in weights_of(tmp_path / "one").items():
        assert torch.equal(value, weights_of(tmp_path / "ray")[name])


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Unsupported, match=r"mambino\[cluster\]"):
        RayRollouts(worker, workers=1)


def test_shares_are_runs_that_together_are_all() -> None:
    attempts = [Attempt(task=tasks()[0], is_thinking=None, seed=(place,)) for place in range(7)]
    parts = shares(attempts, 3)
    assert [one for part in parts for one in part] == attempts
    assert {len(part) for part in parts} <= {2, 3}
    assert [len(part) for part in shares(attempts[:1], 3)].count(1) == 1


def test_trajectories_of_other_attempts_are_refused() -> None:
    made = worker()
    made.refresh(made._model.state_dict())
    attempts = [Attempt(task=task, is_thinking=None, seed=(1,)) for task in tasks()[:2]]
    found = made.sample([_asked(one) for one in attempts])
    assert [one.attempt.task.messages for one in found] == [(), ()]
    assert [one.attempt for one in at_home(found, attempts)] == attempts
    assert portable(found[0]).reward == found[0].reward
    with pytest.raises(InputError, match="expected a trajectory of task"):
        at_home(found, attempts[::-1])
