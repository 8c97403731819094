"""Two processes do what one does: with sharded weights (FSDP2, DCP), and with equal ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mambino.errors import InputError
from mambino.train.data import Batch
from mambino.train.ranks import Ranks
from train.sharded_run import STEPS, run

pytestmark = pytest.mark.torch

# float64 weights, but losses are taken of float32 logits
TOLERANCE = 1e-6
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def two_processes(folder: Path, stop_at: int, kind: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(Path(__file__).with_name("sharded_run.py")), str(folder), str(stop_at), kind],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["adamw", "muon", "elastic"])
def test_two_processes_have_the_losses_of_one_also_after_a_stop(kind: str, tmp_path: Path) -> None:
    run(tmp_path / "one", -1, kind)
    two_processes(tmp_path / "two", 3, kind)
    assert len(losses(tmp_path / "two")) == 3
    two_processes(tmp_path / "two", -1, kind)
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=TOLERANCE)
    assert len(losses(tmp_path / "one")) == STEPS


def test_rows_are_divided_and_nothing_is_lost() -> None:
    rows = np.arange(12).reshape(4, 3)
    batch = Batch(tokens_BT=rows, targets_BT=rows, resets_BT=rows > 5)
    parts = [Ranks(rank=rank, size=2).own(batch).tokens_BT for rank in range(2)]
    assert sorted(np.concatenate(parts).flatten().tolist()) == list(range(12))
    with pytest.raises(InputError, match="4 rows do not divide among 3 processes"):
        Ranks(rank=0, size=3).own(batch)


def test_a_process_alone_sums_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    alone = Ranks.from_environment()
    assert (alone.rank, alone.size, alone.is_first) == (0, 1, True)
    assert alone.total(2.5) == 2.5
    assert alone.any(True)
    assert not alone.any(False)


def test_every_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed: what torch is asked for is what counts."""
    asked: list[object] = []
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.set_device", asked.append)
    monkeypatch.setattr("torch.distributed.init_process_group", asked.append)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 5)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 8)
    gpu = torch.device("cuda", 1)
    assert Ranks.from_environment() == Ranks(rank=5, size=8, device=gpu)
    assert asked == [gpu, "cpu:gloo,cuda:nccl"]


@pytest.mark.skipif(sys.platform != "linux", reason="threads are read from /proc")
def test_no_thread_of_the_group_outlives_the_process() -> None:
    """One that does takes the interpreter's lock while it ends, and aborts a finished run now and then."""
    script = (
        "import atexit, os, torch; from pathlib import Path; from mambino.train.ranks import Ranks\n"
        "names = lambda: {task.joinpath('comm').read_text().strip() for task in Path('/proc/self/task').iterdir()}\n"
        "atexit.register(lambda: print(names()))\n"
        "Ranks.from_environment(); torch.optim.AdamW([torch.ones(1, requires_grad=True)]); print(names())"
    )
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=ENVIRONMENT | alone, timeout=120
    )
    assert done.returncode == 0, done.stderr
    joined, left = done.stdout.splitlines()
    assert "gloo" in joined
    assert "gloo" not in left


def test_sums_are_made_where_a_process_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    class SummedError(Exception): ...

    def all_reduce(tensor: torch.Tensor) -> None:
        raise SummedError(tensor.device.type)

    monkeypatch.setattr("torch.distributed.all_reduce", all_reduce)
    with pytest.raises(SummedError, match="meta"):
        Ranks(rank=0, size=2, device=torch.device("meta")).total(1.0)
