"""One training loop: batch, loss, step, log, save. Everything that varies is an argument.

Start at train. A run lives in a folder: latest.pt (exact resume), log.jsonl (one line a report).
"""

import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor, nn

from mambino.errors import TrainingError
from mambino.model.hybrid import HybridLM
from mambino.train import checkpoint
from mambino.train.checkpoint import Progress
from mambino.train.data import Batch, MixedBatches
from mambino.train.loss import next_token_loss
from mambino.train.metrics import Throughput
from mambino.train.optim import Optimizer, WarmupStableDecay

LossFunction = Callable[[HybridLM, Batch], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """clip_norm bounds the global gradient norm. Steps and seconds between reports and saves."""

    clip_norm: float = 1.0
    log_every_steps: int = 20
    save_every_s: float = 120.0
    keep_every_steps: int = 0  # also keep step-N.pt for branching; 0 keeps none


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One line of log.jsonl. loss is the mean since the last line, in nats a token."""

    step: int
    num_tokens: int
    loss: float
    grad_norm: float
    learning_rate_scale: float
    tokens_per_s: float
    eta_s: float


def language_loss(z_weight: float = 0.0) -> LossFunction:
    """Next-token loss of a batch."""

    def loss(model: HybridLM, batch: Batch) -> Tensor:
        logits = model(torch.from_numpy(batch.tokens_BT), resets=torch.from_numpy(batch.resets_BT))
        return next_token_loss(logits, torch.from_numpy(batch.targets_BT), z_weight=z_weight)

    return loss


def train(
    model: HybridLM,
    optimizer: Optimizer,
    schedule: WarmupStableDecay,
    batches: MixedBatches,
    loss_of: LossFunction,
    *,
    folder: Path,
    settings: LoopSettings | None = None,
    progress_to: TextIO = sys.stderr,
) -> Progress:
    """Train to the end of the schedule, continuing from folder/latest.pt if it is there.

    Mutates    model, optimizer, batches; folder
    Raises     TrainingError when the loss or a gradient is not finite; the last saved state is from before it
    """
    settings = settings or LoopSettings()
    latest = folder / "latest.pt"
    folder.mkdir(parents=True, exist_ok=True)
    progress = checkpoint.load(latest, model, optimizer, batches) if latest.exists() else Progress()
    _drop_undone(folder / "log.jsonl", progress.step)
    throughput, losses, saved_at = Throughput(), list[float](), time.monotonic()
    while progress.step < schedule.total_steps:
        step = progress.step
        batch = batches.batch(step)
        loss = loss_of(model, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        grad_norm = float(nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm))
        losses.append(float(loss.detach()))
        _require_finite(losses[-1], grad_norm, step, latest)
        optimizer.step(schedule.scale(step))

        progress = Progress(step=step + 1, num_tokens=progress.num_tokens + batch.num_targets)
        throughput.add(batch.num_targets)
        is_last = progress.step == schedule.total_steps
        if is_last or progress.step % settings.log_every_steps == 0:
            report = _report(progress, losses, grad_norm, schedule, throughput)
            _log(report, folder / "log.jsonl", schedule.total_steps, progress_to)
            losses.clear()
        if is_last or time.monotonic() - saved_at > settings.save_every_s:
            checkpoint.save(latest, model, optimizer, batches, progress)
            saved_at = time.monotonic()
        if settings.keep_every_steps and progress.step % settings.keep_every_steps == 0:
            checkpoint.save(folder / f"step-{progress.step}.pt", model, optimizer, batches, progress)
    return progress


def _require_finite(loss: float, grad_norm: float, step: int, latest: Path) -> None:
    if math.isfinite(loss) and math.isfinite(grad_norm):
        return
    raise TrainingError(
        f"[train] step {step}: expected a finite loss and gradient, got loss {loss} and gradient norm {grad_norm}; "
        f"weights were not touched since; lower the learning rate and continue from {latest}"
    )


def _drop_undone(log: Path, step: int) -> None:
    """Forget reports of steps after the checkpoint: they are about to be done again."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        log.write_text("".join(line for line in lines if json.loads(line)["step"] <= step), encoding="utf-8")


def _report(
    progress: Progress, losses: list[float], grad_norm: float, schedule: WarmupStableDecay, throughput: Throughput
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
        eta_s=tokens_left / rate,
    )


def _log(report: Report, path: Path, total_steps: int, progress_to: TextIO) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(report)) + "\n")
    minutes, seconds = divmod(int(report.eta_s), 60)
    line = (
        f"step {report.step}/{total_steps}  loss {report.loss:.3f}  {report.tokens_per_s:,.0f} tokens/s  "
        f"{report.num_tokens / 1e6:.2f} M tokens  {minutes}:{seconds:02d} left"
    )
    print(line, file=progress_to, end="\r" if progress_to.isatty() else "\n", flush=True)
