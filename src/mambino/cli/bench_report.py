"""What `mambino bench` found: as a record, a table and a plot. Start at BenchReport."""

import os
import platform
import statistics
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mambino.cli.terminal import human_bytes
from mambino.config import HybridConfig
from mambino.engine.ceilings import Ceilings
from mambino.engine.info import engine_info
from mambino.evals.speed import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """All rounds at one prompt length; theirs is empty without --compare."""

    context: int
    ours: list[Timing]
    theirs: list[Timing]
    peak_nbytes: int | None

    @property
    def prompt_rate(self) -> float:
        return statistics.median(timing.prompt_rate for timing in self.ours)

    @property
    def decode_rate(self) -> float:
        return statistics.median(timing.decode_rate for timing in self.ours)

    @property
    def first_token_s(self) -> float:
        return statistics.median(timing.prompt_s for timing in self.ours)

    def ratios(self) -> tuple[float, float] | None:
        """(prompt, decode) of ours over theirs, median of rounds; None without a peer."""
        pairs = list(zip(self.ours, self.theirs, strict=False))
        if not pairs:
            return None
        return (
            statistics.median(mine.prompt_rate / other.prompt_rate for mine, other in pairs),
            statistics.median(mine.decode_rate / other.decode_rate for mine, other in pairs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """Everything that was measured and what it was measured on."""

    model: str
    config: HybridConfig
    weights_nbytes: int
    ceilings: Ceilings
    points: list[Point]
    machine: dict[str, object]
    logits_sha256: str

    def read_share(self, point: Point) -> float:
        """Bytes that writing reads a second (a token: weights, and the state at that depth), over what memory gives."""
        state = self.config.state_nbytes(point.context)
        return point.decode_rate * (self._streamed_nbytes + state) / self.ceilings.read_bytes_per_s

    def int8_share(self, point: Point) -> float | None:
        """Products of reading a second, over what the cores multiply; None where that was not measured."""
        if self.ceilings.int8_ops_per_s is None:
            return None
        return point.prompt_rate * 2 * self._multiplied / self.ceilings.int8_ops_per_s

    @property
    def _multiplied(self) -> int:
        """Weights that every prompt token is multiplied with: all but the embeddings and the head (last token only)."""
        return sum(self.config.layer_parameters(layer) for layer in self.config.layers)

    @property
    def _streamed_nbytes(self) -> int:
        """Weights that every written token reads: all but an embedding table that is only looked up."""
        if self.config.tie_embeddings:
            return self.weights_nbytes
        table = self.config.vocab_size * self.config.hidden_size
        return round(self.weights_nbytes * (1 - table / self.config.num_parameters))

    def to_json(self) -> dict[str, object]:
        return {
            "model": self.model,
            "weights_nbytes": self.weights_nbytes,
            "threads": self.ceilings.threads,
            "read_bytes_per_s": self.ceilings.read_bytes_per_s,
            "int8_ops_per_s": self.ceilings.int8_ops_per_s,
            "logits_sha256": self.logits_sha256,
            "machine": self.machine,
            "points": [self._point_json(point) for point in self.points],
        }

    def _point_json(self, point: Point) -> dict[str, object]:
        record: dict[str, object] = {
            "context": point.context,
            "prompt_tokens_per_s": point.prompt_rate,
            "first_token_s": point.first_token_s,
            "decode_tokens_per_s": point.decode_rate,
            "peak_nbytes": point.peak_nbytes,
            "read_share": self.read_share(point),
            "int8_share": self.int8_share(point),
            "prompt_s": [timing.prompt_s for timing in point.ours],
            "decode_s": [timing.decode_s for timing in point.ours],
        }
        if (ratios := point.ratios()) is not None:
            record |= {
                "llama_cpp_prompt_s": [timing.prompt_s for timing in point.theirs],
                "llama_cpp_decode_s": [timing.decode_s for timing in point.theirs],
                "prompt_ratio": ratios[0],
                "decode_ratio": ratios[1],
            }
        return record


def machine_record(load: float) -> dict[str, object]:
    """The machine, this installation, and how busy it was."""
    engine = engine_info()
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load": load,
        "mambino": _version(),
        "build_id": engine.build_id,
        "isa": engine.isa,
        "date": time.strftime("%Y-%m-%d"),
    }


def _version() -> str:
    try:
        return version("mambino")
    except PackageNotFoundError:  # run from a source tree
        return "not installed"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(report: BenchReport) -> list[str]:
    """A line a length; shares are of what this machine gives at most."""
    ceilings, has_peer = report.ceilings, any(point.theirs for point in report.points)
    limits = f"memory {ceilings.read_bytes_per_s / 1e9:.1f} GB/s"
    if ceilings.int8_ops_per_s is not None:
        limits += f", int8 {ceilings.int8_ops_per_s / 1e12:.2f} TOPS"
    head = f"{'prompt':>8}{'reads tok/s':>13}{'of int8':>9}{'first token':>13}{'writes tok/s':>14}{'of memory':>11}"
    lines = [
        f"{report.model}: {human_bytes(report.weights_nbytes)} of weights, {ceilings.threads} threads",
        f"this machine at most: {limits}",
        head + f"{'peak':>10}" + (f"{'against llama.cpp':>22}" if has_peer else ""),
    ]
    return lines + [_line(report, point) for point in report.points]


def _line(report: BenchReport, point: Point) -> str:
    int8, memory, ratios = report.int8_share(point), report.read_share(point), point.ratios()
    cells = [
        f"{point.context:>8}{point.prompt_rate:>13.1f}",
        f"{'-' if int8 is None else f'{100 * int8:.0f} %':>9}",
        f"{f'{point.first_token_s:.3f} s':>13}{point.decode_rate:>14.1f}",
        f"{f'{100 * memory:.0f} %':>11}",
        f"{'-' if point.peak_nbytes is None else human_bytes(point.peak_nbytes):>10}",
        f"{f'{ratios[0]:.2f}x reads, {ratios[1]:.2f}x writes':>22}" if ratios else "",
    ]
    return "".join(cells)


def plot(report: BenchReport, path: Path) -> None:
    """Reading and writing speed over prompt length, as PNG. Mutates path: written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    reading, writing = figure.subplots(1, 2)
    contexts = [point.context for point in report.points]
    for label, runs in (("mambino", [p.ours for p in report.points]), ("llama.cpp", [p.theirs for p in report.points])):
        if all(runs):
            reading.plot(contexts, [statistics.median(t.prompt_rate for t in one) for one in runs], "-o", label=label)
            writing.plot(contexts, [statistics.median(t.decode_rate for t in one) for one in runs], "-o", label=label)
    for axes, title in ((reading, "reading"), (writing, "writing")):
        axes.set(title=title, xscale="log", xlabel="prompt, tokens", ylabel="tokens/s", ylim=(0, None))
        axes.grid(alpha=0.3)
    reading.legend()
    figure.suptitle(f"{report.model}, {report.ceilings.threads} threads", fontsize=10)
    figure.savefig(path, dpi=120)
