"""One training loop: batch, loss, step, log, save. Everything that varies is an argument.

Start at train. A run lives in a folder: latest.pt (exact resume), log.jsonl (one line a report).
"""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

import torch
from torch import Tensor, nn

from mambino.errors import InputError, TrainingError
from mambino.model.hybrid import HybridLM
from mambino.train import checkpoint
from mambino.train.checkpoint import Progress
from mambino.train.data import IGNORED, Batch, MixedBatches
from mambino.train.loss import next_token_loss
from mambino.train.metrics import Throughput
from mambino.train.optim import Optimizer, Schedule
from mambino.train.placed import placed
from mambino.train.ranks import Ranks, whole
from mambino.train.report import Report, RunLog

ALONE = Ranks()


class LossFunction(Protocol):
    """The loss of a batch at a step: a mean over its targets. The same arguments give the same loss."""

    def __call__(self, model: HybridLM, batch: Batch, step: int) -> Tensor: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """clip_norm bounds the global gradient norm. Steps and seconds between reports and saves.

    accumulate splits every batch into that many passes: the same step in less memory. autocast computes matrix
    products in bfloat16; weights, norms, recurrences and losses stay in the model's own precision.
    """

    clip_norm: float = 1.0
    accumulate: int = 1
    autocast: bool = False
    log_every_steps: int = 20
    save_every_s: float = 120.0
    keep_every_steps: int = 0  # also keep step-N.pt for branching; 0 keeps none
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.accumulate < 1 or self.log_every_steps < 1 or self.clip_norm <= 0:
            raise InputError(
                f"[train] accumulate, log_every_steps and clip_norm must be positive, got {self.accumulate}, "
                f"{self.log_every_steps} and {self.clip_norm}"
            )


def language_loss(z_weight: float = 0.0) -> LossFunction:
    """Next-token loss of a batch. Logits are made where a target counts, nowhere else."""

    def loss(model: HybridLM, batch: Batch, step: int) -> Tensor:
        place = placed(batch, model)
        hidden, counted = model.hidden(place.tokens, resets=place.resets), place.targets != IGNORED
        return next_token_loss(model.head(hidden[counted]), place.targets[counted], z_weight=z_weight)

    return loss


def train(
    model: HybridLM,
    optimizer: Optimizer,
    schedule: Schedule,
    batches: MixedBatches,
    loss_of: LossFunction,
    *,
    folder: Path,
    settings: LoopSettings | None = None,
    progress_to: TextIO | None = None,
    ranks: Ranks = ALONE,
) -> Progress:
    """Train to the end of the schedule, continuing from folder/latest.pt if it is there.

    Whatever ends it early (Ctrl-C, no memory, a loss that is not finite), the last whole step is saved first.
    progress_to None is standard error. ranks: the processes of torchrun, whose model is sharded; every one calls this
    with the same batches, and the first reports. What ends one process early ends all, without another save.

    Mutates    model, optimizer, batches; folder
    Raises     TrainingError when the loss or a gradient is not finite, or memory does not suffice
    """
    settings = settings or LoopSettings()
    latest = folder / "latest.pt"
    folder.mkdir(parents=True, exist_ok=True)
    store = _Store(folder, model, optimizer, batches, ranks)
    progress = store.load()
    log = RunLog(folder, schedule.total_steps, progress_to or sys.stderr, tensorboard=settings.tensorboard)
    if ranks.is_first:
        log.forget_after(progress.step)
    throughput, losses, saved_at = Throughput(), list[float](), time.monotonic()
    while progress.step < schedule.total_steps:
        step, place = progress.step, batches.state
        try:
            batch = batches.batch(step)
            with _clear_memory_errors(settings):
                loss, grad_norm = _backward(model, batch, step, loss_of, settings, ranks)
            _require_finite(loss, grad_norm, step, latest)
        except (TrainingError, KeyboardInterrupt):
            optimizer.clear()
            batches.restore(place)
            if ranks.size == 1:
                store.save(progress)
            raise
        optimizer.step(schedule.scale(step))

        losses.append(loss)
        progress = Progress(step=step + 1, num_tokens=progress.num_tokens + batch.num_targets)
        throughput.add(batch.num_targets)
        is_last = progress.step == schedule.total_steps
        if (is_last or progress.step % settings.log_every_steps == 0) and ranks.is_first:
            log.add(_report(progress, losses, grad_norm, schedule, throughput))
            losses.clear()
        if ranks.any(is_last or time.monotonic() - saved_at > settings.save_every_s):
            store.save(progress)
            saved_at = time.monotonic()
        if settings.keep_every_steps and progress.step % settings.keep_every_steps == 0 and ranks.size == 1:
            checkpoint.save(folder / f"step-{progress.step}.pt", model, optimizer, batches, progress)
    log.close()
    return progress


@dataclass(frozen=True, slots=True)
class _Store:
    """Where a run is saved: one file, or the shards of several processes."""

    folder: Path
    model: HybridLM
    optimizer: Optimizer
    batches: MixedBatches
    ranks: Ranks

    def load(self) -> Progress:
        """Mutates model, optimizer and batches, if there is something to continue."""
        latest = self.folder / "latest.pt"
        if self.ranks.size > 1:
            from mambino.train.sharded_checkpoint import has_sharded, load_sharded

            is_saved = has_sharded(self.folder)
            return load_sharded(self.folder, self.model, self.optimizer, self.batches) if is_saved else Progress()
        return checkpoint.load(latest, self.model, self.optimizer, self.batches) if latest.exists() else Progress()

    def save(self, progress: Progress) -> None:
        if self.ranks.size > 1:
            from mambino.train.sharded_checkpoint import save_sharded

            save_sharded(self.folder, self.model, self.optimizer, self.batches, progress)
        else:
            checkpoint.save(self.folder / "latest.pt", self.model, self.optimizer, self.batches, progress)


def _backward(
    model: HybridLM, batch: Batch, step: int, loss_of: LossFunction, settings: LoopSettings, ranks: Ranks
) -> tuple[float, float]:
    """Loss of the whole batch and the norm of its gradient before clipping. Mutates the gradients of model."""
    total = 0.0
    for part in ranks.own(batch).split(settings.accumulate):
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=settings.autocast):
            loss = loss_of(model, part, step) * (part.num_targets / max(1, batch.num_targets))
        (loss * ranks.size).backward()  # type: ignore[no-untyped-call]  # sharded gradients are averaged
        total += float(loss.detach())
    grad_norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
    return ranks.total(total), float(whole(grad_norm))


@contextmanager
def _clear_memory_errors(settings: LoopSettings) -> Iterator[None]:
    """Out-of-memory, which has three spellings, as one TrainingError that says what helps."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = str(error).splitlines()[0] if str(error) else ""
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in words
        if not is_memory:
            raise
        raise TrainingError(
            f"[train] out of memory ({words or 'no details'}); the last whole step is saved: continue with "
            f"accumulate={2 * settings.accumulate}, shorter rows, or model.recompute = True"
        ) from error


def _require_finite(loss: float, grad_norm: float, step: int, latest: Path) -> None:
    if math.isfinite(loss) and math.isfinite(grad_norm):
        return
    raise TrainingError(
        f"[train] step {step}: expected a finite loss and gradient, got loss {loss} and gradient norm {grad_norm}; "
        f"weights were not touched since; lower the learning rate and continue from {latest}"
    )


def _report(
    progress: Progress, losses: list[float], grad_norm: float, schedule: Schedule, throughput: Throughput
) -> Report:
    rate = throughput.read()
    tokens_left = (schedule.total_steps - progress.step) * progress.num_tokens / progress.step
    return Report(
        step=progress.step,
        num_tokens=progress.num_tokens,
        loss=sum(losses) / len(losses),
        grad_norm=grad_norm,
        learning_rate_scale=schedule.scale(progress.step - 1),
        tokens_per_s=rate,
        eta_s=tokens_left / max(rate, 1e-9),
    )
