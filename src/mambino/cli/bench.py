"""`mambino bench`: how fast this machine runs a model, beside what it could do at most, and beside llama.cpp.

Start at command; the clock is in evals/speed.py, the table and the plot in bench_report.py.
"""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from mambino.cli.bench_report import BenchReport, Point, machine_record, plot, table
from mambino.cli.options import debug_option, json_option
from mambino.cli.progress import progress_bar
from mambino.cli.terminal import note
from mambino.engine.ceilings import measure_ceilings
from mambino.engine.native import NativeLM
from mambino.errors import InputError, Unsupported
from mambino.evals.speed import Timing, logits_digest, time_context, warm_up
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.formats.mapped import replacing
from mambino.hub.local import BUNDLED, resolve
from mambino.load import model_of

_LENGTHS = (16, 128, 512, 2048)
_QUICK_LENGTHS = (16, 128)
_BUSY_LOAD = 0.7  # of one core, by other programs

_CONTEXT_HELP = f"A prompt length; may be repeated.  [default: {' '.join(map(str, _LENGTHS))}]"
_COMPARE_HELP = "llama.cpp on the same file, in turns: by this interpreter, or one that has llama-cpp-python."
_NEW_FILE = click.Path(dir_okay=False, path_type=Path)
_PEER_SCRIPT = Path(__file__).with_name("bench_peer.py")


@click.command()
@click.argument("model", default=BUNDLED)
@click.option("--context", "lengths", type=click.IntRange(1), multiple=True, metavar="N", help=_CONTEXT_HELP)
@click.option("--decode", type=click.IntRange(1), default=32, show_default=True, metavar="N", help="Tokens to write.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, metavar="N", help="Runs a length.")
@click.option("--quick", is_flag=True, help="One round, short prompts: seconds instead of minutes.")
@click.option("--threads", type=click.IntRange(1, 256), metavar="N", help="[default: all cores]")
@click.option("--compare", "peer", is_flag=False, flag_value="", metavar="[PYTHON]", help=_COMPARE_HELP)
@click.option("--plot", "plot_file", type=_NEW_FILE, help="Draw speeds over length, as PNG.")
@click.option("--out", type=_NEW_FILE, help="Write the record to a file too.")
@json_option
@debug_option
def command(
    model: str,
    lengths: tuple[int, ...],
    decode: int,
    rounds: int,
    quick: bool,
    threads: int | None,
    peer: str | None,
    plot_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Time MODEL on this machine: a .gguf file, a Hugging Face folder, or the name of a fetched model.

    For each prompt length: reading speed, seconds to the first token, writing speed at that depth, and peak memory.
    Beside them what the machine gives at most, measured just then: memory bandwidth limits writing, int8 products
    limit reading. The last line of output is one JSON object.

    \b
    mambino bench model.gguf --quick
    mambino bench model.gguf --context 512 --context 8192 --plot speed.png
    mambino bench model.gguf --compare ~/llama/bin/python
    """
    if plot_file is not None and importlib.util.find_spec("matplotlib") is None:
        raise Unsupported("[bench] --plot needs matplotlib: pip install 'mambino[plot]'")
    python = None if peer is None else peer_python(peer)
    checkpoint = open_checkpoint(resolve(model))
    if python is not None and checkpoint.kind != "gguf":
        raise InputError(
            "[bench] --compare: llama.cpp reads GGUF files only; convert the folder with `mambino quantize`"
        )
    load = os.getloadavg()[0]
    if load > _BUSY_LOAD:
        note(f"warning: the machine is busy (load {load:.1f}); figures will be too low and vary")
    fitting = chosen_lengths(lengths or (_QUICK_LENGTHS if quick else _LENGTHS), decode, checkpoint.config.max_context)
    engine = model_of(checkpoint, threads=threads)
    assert isinstance(engine, NativeLM)
    warm_up(engine)
    points = _points(checkpoint, engine, fitting, decode, 1 if quick else rounds, python)
    ceilings = measure_ceilings(engine.threads)  # last, so that its memory is not in the peaks
    report = BenchReport(
        model=checkpoint.path.name,
        config=checkpoint.config,
        weights_nbytes=checkpoint.nbytes,
        ceilings=ceilings,
        points=points,
        machine=machine_record(load),
        logits_sha256=logits_digest(engine),
    )
    if plot_file is not None:
        plot(report, plot_file)
    record = json.dumps(report.to_json())
    if out is not None:
        with replacing(out) as file:
            file.write(record.encode() + b"\n")
    if not as_json:
        print("\n".join(table(report)))
    print(record)


def chosen_lengths(asked: tuple[int, ...], decode: int, max_context: int) -> list[int]:
    """Sorted, without those that do not fit. Raises InputError if none does."""
    fitting = sorted({length for length in asked if length + decode <= max_context})
    if not fitting:
        raise InputError(f"[bench] no length fits: the model holds {max_context} tokens, {decode} of them to write")
    return fitting


def peer_python(named: str) -> str:
    """The interpreter to run llama.cpp with. Raises Unsupported if it has no llama-cpp-python."""
    python = named or sys.executable
    check = [python, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('llama_cpp') is None)"]
    try:
        found = subprocess.run(check, capture_output=True, check=False).returncode == 0
    except OSError as error:
        raise InputError(f"[bench] --compare {python}: cannot be run: {error.strerror}") from error
    if not found:
        raise Unsupported(
            f"[bench] --compare: {python} has no llama-cpp-python; install it there, or name an interpreter that has it"
        )
    return python


def _points(
    checkpoint: Checkpoint,
    engine: NativeLM,
    lengths: list[int],
    decode: int,
    rounds: int,
    python: str | None,
) -> list[Point]:
    """Ours and theirs in turns, so that a slow minute of the machine hits both."""
    points = []
    with progress_bar() as progress:
        for index, length in enumerate(lengths):
            ours, theirs = list[Timing](), list[Timing]()
            for turn in range(rounds):
                progress(f"{length} tokens, round {turn + 1}", index * rounds + turn, len(lengths) * rounds)
                ours.append(time_context(engine, length, decode))
                if python is not None:
                    theirs.append(_peer_timing(python, checkpoint.path, length, decode, engine.threads))
            points.append(Point(context=length, ours=ours, theirs=theirs, peak_nbytes=_peak_memory()))
    return points


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRecord:
    """One run of llama.cpp, in a process of its own."""

    prompt_s: float
    decode_s: float
    peak_nbytes: int
    version: str


def peer_record(python: str, model: Path, length: int, decode: int, threads: int, *, flash: bool) -> PeerRecord:
    """llama.cpp reads length tokens and writes decode. Raises InputError with its own words if it cannot."""
    command = [python, str(_PEER_SCRIPT), str(model.resolve()), *map(str, (length, decode, threads, int(flash)))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"[bench] llama.cpp: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
    return PeerRecord(**json.loads(done.stdout.splitlines()[-1]))


def _peer_timing(python: str, model: Path, length: int, decode: int, threads: int) -> Timing:
    """llama.cpp without and with flash attention, the better of the two for reading and for writing."""
    found = [peer_record(python, model, length, decode, threads, flash=flash) for flash in (False, True)]
    return Timing(
        prompt_tokens=length,
        decode_tokens=decode,
        prompt_s=min(one.prompt_s for one in found),
        decode_s=min(one.decode_s for one in found),
    )


def _peak_memory() -> int | None:
    """Most bytes this process had in memory so far; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
