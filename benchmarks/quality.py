"""KL to the source against size: our mixes and searched plans, and llama.cpp's quantiser on the same file.

    python benchmarks/quality.py SOURCE TEXT --work FOLDER [--peer PYTHON] [--dither] [--out RESULT.json] [--plot X.png]

SOURCE: a model in F32, F16, BF16 or Q8_0; TEXT: plain text, split into pieces for calibration, search and measurement.
Both quantisers get the same F16 file and the same importance, and one engine (float32 activations) judges all files.
--dither: for a source that only exists in Q4_1: spread every weight evenly over its rounding interval, which gives a
model with weights of natural spread. It becomes the source; what is shown is the loss against it.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mambino import open_model
from mambino.cli.calibration import CalibrationText, KlMeasure, measured_importance
from mambino.compress.offered import without_offer
from mambino.compress.plan_search import search_plan
from mambino.evals.fidelity import compare_logits
from mambino.export.quantize import quantize, shapes_of
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.lm import Float32Array, Int32Array
from mambino.load import tokenizer_of
from mambino.quant.decode import LAYOUTS
from mambino.quant.mixes import plan_for_mix
from mambino.quant.plan import sizes_by_kind

PIECE = 384
_LABELLED = ("mambino", "mambino, searched", "llama.cpp, imatrix")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What is made and judged. unweighted: also everything without importance."""

    ours: tuple[str, ...] = ("q8_0", "q6_k", "q5_k_m", "m5", "q4_k_m", "m4", "iq4_nl", "q4_0")
    peer: tuple[str, ...] = ("Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "IQ4_NL", "Q4_0")
    searched_bits: tuple[float, ...] = (4.7, 4.9, 5.2, 5.6, 6.1, 6.8)
    unweighted: bool = True


QUICK = Extent(
    ours=("q5_k_m", "m5", "q4_k_m", "m4", "iq4_nl"),
    peer=("Q5_K_M", "Q4_K_M", "Q4_K_S", "IQ4_NL"),
    searched_bits=(4.8, 5.2, 5.9),
    unweighted=False,
)


def dithered(checkpoint: Checkpoint) -> Checkpoint:
    """Every Q4_1 weight moved by a uniform random part of half a step either way, in F32."""
    rng = np.random.default_rng(0)

    def spread(tensor: Tensor) -> Tensor:
        if tensor.type.name != "Q4_1":
            return tensor
        step = tensor.data.view(LAYOUTS["Q4_1"])["d"].astype(np.float32)
        noise = rng.uniform(-0.5, 0.5, (step.size, 32)).astype(np.float32) * step[:, None]
        return tensor_from_float32(tensor.name, tensor.to_float32() + noise.reshape(tensor.shape))

    return replace(checkpoint, stored={own: spread(tensor) for own, tensor in checkpoint.stored.items()})


def pieces_of(
    checkpoint: Checkpoint, text: str, calibrating: int, searching: int, measuring: int
) -> list[list[Int32Array]]:
    """Three lists of token pieces, interleaved over the text."""
    ids = np.array(tokenizer_of(checkpoint).encode(text), np.int32)
    pieces = [ids[start : start + PIECE] for start in range(0, ids.size - PIECE + 1, PIECE)]
    counts = [count // PIECE for count in (calibrating, searching, measuring)]
    order = np.random.default_rng(1).permutation(len(pieces))[: sum(counts)]
    if len(order) < sum(counts):
        raise SystemExit(f"the text has {ids.size} tokens; {PIECE * sum(counts)} are needed")
    ends = np.cumsum(counts)
    return [[pieces[index] for index in part] for part in np.split(order, ends[:-1])]


class Judge:
    """KL of a file to the source file, by one engine on one set of tokens."""

    def __init__(self, source: Path, pieces: list[Int32Array], threads: int) -> None:
        self.pieces, self.tokens, self.threads = pieces, np.concatenate(pieces), threads
        self.reference = self.logits(source)

    def logits(self, path: Path) -> Float32Array:
        model = open_model(path, threads=self.threads, activations="float32")
        return np.concatenate([model.score(piece) for piece in self.pieces])

    def point(self, series: str, name: str, path: Path) -> dict[str, object]:
        stored = open_checkpoint(path).stored
        matrices = [tensor for own, tensor in stored.items() if tensor.rows > 1 and tensor.type.name != "F32"]
        fidelity = compare_logits(self.reference, self.logits(path), self.tokens)
        record = {
            "series": series,
            "name": name,
            "nbytes": path.stat().st_size,
            "bits": 8 * sum(t.nbytes for t in matrices) / sum(t.rows * t.cols for t in matrices),
            "kl": fidelity.kl,
            "kl_interval": fidelity.kl_interval,
            "agreement": fidelity.agreement,
        }
        print(
            f"{series:<22}{name:<10}{record['nbytes'] / 1e6:>9.2f} MB{record['bits']:>7.2f} bits  KL {fidelity.kl:.5f}",
            flush=True,
        )
        return record


def our_points(
    source: Checkpoint, judge: Judge, importance: dict[str, Float32Array], work: Path, extent: Extent
) -> Iterator[dict]:
    for series, weights in (("mambino", importance), ("mambino, no text", None))[: 1 + extent.unweighted]:
        for mix in extent.ours:
            path = work / f"ours-{mix}.gguf"
            path.unlink(missing_ok=True)
            quantize(source, path, plan_for_mix(mix, shapes_of(source)), importance=weights, threads=judge.threads)
            yield judge.point(series, mix, path)


def searched_points(
    source: Checkpoint,
    judge: Judge,
    importance: dict[str, Float32Array],
    text: CalibrationText,
    work: Path,
    extent: Extent,
) -> Iterator[dict]:
    measure = KlMeasure(source, text.measuring, importance, judge.threads)
    matrices = sum(kind.parameters for kind in sizes_by_kind(plan_for_mix("f16", shapes_of(source)), shapes_of(source)))
    for bits in extent.searched_bits:
        path = work / f"searched-{bits}.gguf"
        path.unlink(missing_ok=True)
        found = search_plan(
            shapes_of(source), int(bits * matrices / 8), measure, notes=work / "search.json", about=text.digest
        )
        quantize(source, path, found.plan, importance=importance, threads=judge.threads)
        yield judge.point("mambino, searched", f"{bits}", path)


def peer_points(
    source: Path, judge: Judge, importance: dict[str, Float32Array], work: Path, extent: Extent, peer: str
) -> Iterator[dict]:
    gguf_names = {row.own: row.gguf for row in rows(open_checkpoint(source).config)}
    np.savez(work / "importance.npz", **{gguf_names[own]: values for own, values in importance.items()})
    script = str(Path(__file__).with_name("peer_quantize.py"))
    both = (("llama.cpp, imatrix", str(work / "importance.npz")), ("llama.cpp", "-"))
    for series, weights in both[: 1 + extent.unweighted]:
        subprocess.run([peer, script, str(source), str(work), weights, *extent.peer], check=True)
        for mix in extent.peer:
            yield judge.point(series, mix, work / f"{mix}.gguf")


def plot(points: list[dict], title: str, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 6), layout="constrained")
    points = [point for point in points if point["bits"] < 7.5]  # 8 bits lie decades below the rest
    for series in dict.fromkeys(point["series"] for point in points):
        line = sorted((p["nbytes"] / 1e6, p["kl"], p["name"]) for p in points if p["series"] == series)
        is_line = series == "mambino, searched"
        axes.plot(
            [x for x, _, _ in line], [y for _, y, _ in line], "-o" if is_line else "o", markersize=4, label=series
        )
        for x, y, name in line if series in _LABELLED else []:
            axes.annotate(name, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axes.set(yscale="log", xlabel="file, MB", ylabel="KL to the source, nats", title=title)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--peer", help="an interpreter with llama-cpp-python")
    parser.add_argument("--dither", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer mixes and sizes, all weighted")
    parser.add_argument(
        "--tokens", type=int, nargs=3, default=(12_288, 1_536, 3_072), metavar="N", help="calibrate, search, measure"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    extent = QUICK if options.quick else Extent()
    options.work.mkdir(parents=True, exist_ok=True)
    given = without_offer(open_checkpoint(options.source))  # llama.cpp's mixes do not care for smaller sizes either
    text = options.text.read_text(encoding="utf-8")
    calibrating, searching, measuring = pieces_of(given, text, *options.tokens)
    path = options.work / "source.gguf"
    path.unlink(missing_ok=True)
    quantize(dithered(given) if options.dither else given, path, plan_for_mix("f16", shapes_of(given)))
    source, judge = open_checkpoint(path), Judge(path, measuring, options.threads)
    split = CalibrationText(calibrating=calibrating, measuring=searching, digest=str(path.stat().st_size))
    importance = measured_importance(source, split, options.threads)
    points = [judge.point("source", "F16", path)]
    if options.peer:
        points += peer_points(path, judge, importance, options.work, extent, options.peer)
    points += our_points(source, judge, importance, options.work, extent)
    points += searched_points(source, judge, importance, split, options.work, extent)
    title = f"{options.source.stem}{' (dithered)' if options.dither else ''}, {judge.tokens.size} tokens"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    record = {
        "model": title,
        "tokens": options.tokens,
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
        "points": points,
    }
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.plot:
        plot(points, title, options.plot)
    print(json.dumps(record))


if __name__ == "__main__":
    main()
