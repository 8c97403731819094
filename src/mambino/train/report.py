"""What a run tells: a line for people, log.jsonl for programs, tensorboard and a picture for those who want them.

Knows no model. Start at RunLog.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mambino.errors import Unsupported
from mambino.formats.mapped import replacing
from mambino.train.picture import new_figure, read_log

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_BAR_CELLS = 20


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


class RunLog:
    """Where the reports of one run go. On a terminal the line is a progress bar that stays in place."""

    def __init__(self, folder: Path, total_steps: int, progress_to: TextIO, *, tensorboard: bool = False) -> None:
        self._path, self._total, self._stream = folder / "log.jsonl", total_steps, progress_to
        self._board = _board(folder / "tensorboard") if tensorboard else None

    def forget_after(self, step: int) -> None:
        """Drop reports of later steps: they are about to be done again."""
        forget_after(self._path, step)

    def add(self, report: Report) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(report)) + "\n")
        if self._board is not None:
            for name in ("loss", "grad_norm", "learning_rate_scale", "tokens_per_s"):
                self._board.add_scalar(name, asdict(report)[name], report.step)
        self._show(report)

    def close(self) -> None:
        if self._stream.isatty():
            print(file=self._stream)
        if self._board is not None:
            self._board.close()

    def _show(self, report: Report) -> None:
        minutes, seconds = divmod(int(report.eta_s), 60)
        line = (
            f"step {report.step}/{self._total}  loss {report.loss:.3f}  {report.tokens_per_s:,.0f} tokens/s  "
            f"{report.num_tokens / 1e6:.2f} M tokens  {minutes}:{seconds:02d} left"
        )
        if self._stream.isatty():
            full = _BAR_CELLS * report.step // self._total
            line = f"\r\x1b[K[{'#' * full}{'.' * (_BAR_CELLS - full)}] {line}"
        print(line, file=self._stream, end="" if self._stream.isatty() else "\n", flush=True)


def forget_after(log: Path, step: int) -> None:
    """Drop the lines of later steps, and one that was cut off while it was written. Mutates log, if there is one."""
    if log.exists():
        kept = [line for line in log.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
        with replacing(log) as file:
            file.write("".join(line + "\n" for line in kept).encode())


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except ValueError:
        return math.inf


def _board(folder: Path) -> "SummaryWriter":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise Unsupported("[train] tensorboard logs need: pip install 'mambino[train]'") from error
    return SummaryWriter(str(folder))


def plot_loss(log: Path, picture: Path) -> None:
    """The loss curve of a log.jsonl over tokens, as PNG. Mutates picture.

    Raises     InputError for an empty log; Unsupported without matplotlib
    """
    figure, reports = new_figure(8, 4.5), read_log(log)
    loss_axes = figure.subplots()
    tokens = [report["num_tokens"] / 1e6 for report in reports]
    loss_axes.plot(tokens, [report["loss"] for report in reports], linewidth=1.2)
    loss_axes.set(xlabel="million tokens", ylabel="loss (nats a token)", title=log.parent.name)
    rate_axes = loss_axes.twinx()
    scales = [report["learning_rate_scale"] for report in reports]
    rate_axes.plot(tokens, scales, color="0.75", linewidth=0.8, linestyle="--")
    rate_axes.set(ylabel="learning rate / peak", ylim=(0, 1.05))
    figure.savefig(picture, dpi=120)
