"""The loop learns, resumes to the bit, stops at NaN, and leaves whole files behind."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mambino.config import HybridConfig
from mambino.errors import FormatError, TrainingError
from mambino.model.hybrid import HybridLM
from mambino.train import checkpoint
from mambino.train.data import Batch, Documents, MixedBatches
from mambino.train.loop import LoopSettings, LossFunction, language_loss, train
from mambino.train.metrics import held_out_loss
from mambino.train.optim import Cosine, Optimizer, OptimSettings, WarmupStableDecay
from mambino.train.report import plot_loss
from tiny_models import tiny_hybrid_config

pytestmark = pytest.mark.torch

SCHEDULE = WarmupStableDecay(warmup_steps=2, stable_steps=4, decay_steps=4)


class Run:
    """One small run: model, optimizer and batches of its own, all from fixed seeds."""

    def __init__(self, config: HybridConfig) -> None:
        rng = np.random.default_rng(4)
        texts = [np.arange(start, start + rng.integers(3, 30)) % config.vocab_size for start in range(40)]
        self.model = HybridLM(config, generator=torch.Generator().manual_seed(1))
        self.optimizer = Optimizer.for_model(self.model, OptimSettings(learning_rate=0.01))
        self.batches = MixedBatches(
            {"count": Documents.of([text.tolist() for text in texts])}, lambda _: {"count": 1.0},
            rows=2, row_size=32, seed=7,
        )  # fmt: skip

    def to(self, folder: Path, steps: int, loss: LossFunction | None = None) -> None:
        """Train until `steps` of SCHEDULE are done, by stopping there."""
        stop = _Stop(loss or language_loss(1e-4), steps)
        settings = LoopSettings(log_every_steps=2, save_every_s=0.0)
        with contextlib.suppress(KeyboardInterrupt):
            train(
                self.model, self.optimizer, SCHEDULE, self.batches, stop,
                folder=folder, settings=settings, progress_to=io.StringIO(),
            )  # fmt: skip


class _Stop:
    """A loss that interrupts the run once so many steps are on disk, as Ctrl-C would."""

    def __init__(self, loss: LossFunction, steps: int) -> None:
        self._loss, self._steps, self._done = loss, steps, 0

    def __call__(self, model: HybridLM, batch: Batch, step: int) -> Tensor:
        if self._done == self._steps:
            raise KeyboardInterrupt
        self._done += 1
        return self._loss(model, batch, step)


def weights(model: HybridLM) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def logged_steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """The weights that a whole run of tiny_config ends with."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    run = Run(tiny_hybrid_config())
    run.to(folder, SCHEDULE.total_steps)
    assert logged_steps(folder) == [2, 4, 6, 8, 10]
    return weights(run.model)


@pytest.mark.parametrize("stop_at", [1, 5, 7])
def test_a_resumed_run_is_bitwise_the_uninterrupted_one(
    tiny_config: HybridConfig, uninterrupted: dict[str, Tensor], tmp_path: Path, stop_at: int
) -> None:
    Run(tiny_config).to(tmp_path / "cut", stop_at)
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:  # killed between a report and the next save
        log.write('{"step": 8}\n{"step": 9, "lo')
    resumed = Run(tiny_config)
    torch.manual_seed(99)  # the saved generator state must win
    resumed.to(tmp_path / "cut", SCHEDULE.total_steps)

    assert logged_steps(tmp_path / "cut") == [2, 4, 6, 8, 10]
    for name, value in weights(resumed.model).items():
        assert torch.equal(value, uninterrupted[name]), name


def test_the_loss_falls_and_the_log_says_so(tiny_config: HybridConfig, tmp_path: Path) -> None:
    run = Run(tiny_config)
    held_out = [run.batches.batch(1000 + step) for step in range(3)]
    before = held_out_loss(run.model, held_out)
    run.to(tmp_path, SCHEDULE.total_steps)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert held_out_loss(run.model, held_out) < before - 0.1
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["num_tokens"] > 0


def test_a_loss_that_is_not_finite_stops_before_the_weights_are_spoiled(
    tiny_config: HybridConfig, tmp_path: Path
) -> None:
    run = Run(tiny_config)
    plain, seen = language_loss(), list[dict[str, Tensor]]()

    def spoiled(model: HybridLM, batch: Batch, step: int) -> Tensor:
        seen.append(weights(model))
        loss = plain(model, batch, step)
        return loss * float("nan") if len(seen) == 4 else loss

    with pytest.raises(TrainingError, match=r"step 3: expected a finite loss.*latest\.pt"):
        run.to(tmp_path, SCHEDULE.total_steps, spoiled)
    saved = Run(tiny_config)
    progress = checkpoint.load(tmp_path / "latest.pt", saved.model, saved.optimizer, saved.batches)
    assert progress.step == 3
    for name, value in weights(saved.model).items():
        assert torch.equal(value, seen[-1][name]), name


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 GB"),
    ],
)
def test_running_out_of_memory_leaves_the_last_whole_step(
    error: Exception, tiny_config: HybridConfig, tmp_path: Path
) -> None:
    plain = language_loss(1e-4)

    def hungry(model: HybridLM, batch: Batch, step: int) -> Tensor:
        if step == 3:
            raise error
        return plain(model, batch, step)

    run, settings = Run(tiny_config), LoopSettings(save_every_s=1e9)
    with pytest.raises(TrainingError, match=r"out of memory .*last whole step is saved: continue with accumulate=2"):
        train(
            run.model, run.optimizer, SCHEDULE, run.batches, hungry,
            folder=tmp_path / "cut", settings=settings, progress_to=io.StringIO(),
        )  # fmt: skip
    saved = Run(tiny_config)
    assert checkpoint.load(tmp_path / "cut" / "latest.pt", saved.model, saved.optimizer, saved.batches).step == 3
    untouched = Run(tiny_config)
    for step in range(3):
        untouched.batches.batch(step)
    assert saved.batches.state == untouched.batches.state, "the batch of the failed step comes again"
    for name, value in weights(saved.model).items():
        assert torch.equal(value, weights(run.model)[name]), name


def test_other_faults_are_not_called_memory(tiny_config: HybridConfig, tmp_path: Path) -> None:
    def broken(model: HybridLM, batch: Batch, step: int) -> Tensor:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Run(tiny_config).to(tmp_path, SCHEDULE.total_steps, broken)


def gradients(config: HybridConfig, accumulate: int, recompute: bool) -> dict[str, Tensor]:
    run = Run(config)
    model = run.model.double()
    model.recompute = recompute
    batch = run.batches.batch(0)
    for part in batch.split(accumulate):
        (language_loss()(model, part, 0) * (part.num_targets / batch.num_targets)).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize(("accumulate", "recompute"), [(2, False), (9, False), (1, True), (2, True)])
def test_saving_memory_changes_no_gradient(tiny_config: HybridConfig, accumulate: int, recompute: bool) -> None:
    plain, saving = gradients(tiny_config, 1, False), gradients(tiny_config, accumulate, recompute)
    for name, value in plain.items():
        assert torch.allclose(saving[name], value, rtol=0, atol=1e-6), name  # token losses are float32


def test_the_loop_takes_the_same_steps_in_several_passes(tiny_config: HybridConfig, tmp_path: Path) -> None:
    ends = []
    for accumulate in (1, 2):
        run = Run(tiny_config)
        run.model.double()
        train(
            run.model, Optimizer.for_model(run.model, OptimSettings(learning_rate=0.01, use_muon=False)),
            Cosine(warmup_steps=1, decay_steps=2), run.batches, language_loss(), folder=tmp_path / str(accumulate),
            settings=LoopSettings(accumulate=accumulate, clip_norm=0.1), progress_to=io.StringIO(),
        )  # fmt: skip
        ends.append(weights(run.model))
    for name, value in ends[0].items():
        assert torch.allclose(ends[1][name], value, rtol=0, atol=1e-4), name  # AdamW magnifies float32 losses' rounding


def test_bfloat16_products_train_nearly_as_well(tiny_config: HybridConfig, tmp_path: Path) -> None:
    losses = []
    for autocast in (False, True):
        run, settings = Run(tiny_config), LoopSettings(autocast=autocast, log_every_steps=2)
        folder = tmp_path / str(autocast)
        train(
            run.model, run.optimizer, Cosine(warmup_steps=1, decay_steps=3), run.batches, language_loss(),
            folder=folder, settings=settings, progress_to=io.StringIO(),
        )  # fmt: skip
        losses.append([json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()])
        assert all(parameter.dtype == torch.float32 for parameter in run.model.parameters())
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_the_log_becomes_a_picture(tiny_config: HybridConfig, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    Run(tiny_config).to(tmp_path, 4)
    plot_loss(tmp_path / "log.jsonl", tmp_path / "loss.png")
    assert (tmp_path / "loss.png").stat().st_size > 5_000


def test_packed_documents_train_as_they_would_apart(tiny_config: HybridConfig) -> None:
    run = Run(tiny_config)
    model = run.model.double()
    packed = run.batches.batch(0)
    together = held_out_loss(model, [packed])
    total, count = 0.0, 0
    for row in range(2):
        starts = np.flatnonzero(packed.resets_BT[row]).tolist()
        for start, end in zip(starts, [*starts[1:], packed.tokens_BT.shape[1]], strict=True):
            alone = Batch(
                tokens_BT=packed.tokens_BT[row : row + 1, start:end],
                targets_BT=packed.targets_BT[row : row + 1, start:end],
                resets_BT=packed.resets_BT[row : row + 1, start:end],
            )
            total += held_out_loss(model, [alone]) * alone.num_targets
            count += alone.num_targets
    assert together == pytest.approx(total / count, abs=1e-6)  # token losses are float32


@pytest.mark.parametrize("damage", [lambda content: content[:1000], lambda content: b"no checkpoint"])
def test_a_damaged_checkpoint_is_named(
    damage: Callable[[bytes], bytes], tiny_config: HybridConfig, tmp_path: Path
) -> None:
    run = Run(tiny_config)
    run.to(tmp_path, 1)
    path = tmp_path / "latest.pt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FormatError, match=r"latest\.pt: cannot be read"):
        checkpoint.load(path, run.model, run.optimizer, run.batches)


def test_a_checkpoint_of_another_model_is_named(
    tiny_config: HybridConfig, tiny_llama: HybridConfig, tmp_path: Path
) -> None:
    Run(tiny_config).to(tmp_path, 1)
    other = Run(tiny_llama)
    with pytest.raises(FormatError, match="not a checkpoint of this run"):
        checkpoint.load(tmp_path / "latest.pt", other.model, other.optimizer, other.batches)
