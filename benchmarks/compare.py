"""Our engine and llama.cpp on the same file, threads and lengths, in alternating runs: a table, then one JSON line.

    python benchmarks/compare.py MODEL --peer PYTHON --peer-script llama_bench.py [--only prompt-512] [--rounds 5] ...

PYTHON is an interpreter that has llama-cpp-python (tools/fetch_test_files.py makes one). The peer runs with and without
flash attention, and the better of the two counts. With --filled the tokens of a depth are copies of 512 read ones, on
both sides (peer_filled.py is then the peer's script), so that 32k of the 4B take a minute and not an hour. together-4
and prompt-at-32k compare ours with ours: with one sequence, and with the same prompt at depth 0. The avx2 rows are fair
only against a peer built without AVX-512.
Refuses to run on a busy machine unless told with --busy.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASURES = ("prompt_tokens_per_s", "decode_tokens_per_s", "peak_gib", "start_to_end_s")
SMALLER_IS_BETTER = ("peak_gib", "start_to_end_s")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Lengths, the figure that counts, options of ours alone. baseline: compare with ours in that case instead."""

    prompt: int = 0
    decode: int = 0
    depth: int = 0
    measure: str
    extra: tuple[str, ...] = ()
    baseline: "Case | None" = None


CASES = {
    "prompt-512": Case(prompt=512, measure="prompt_tokens_per_s"),
    "prompt-2048": Case(prompt=2048, measure="prompt_tokens_per_s"),
    "decode-0": Case(prompt=16, decode=32, measure="decode_tokens_per_s"),
    "decode-512": Case(prompt=512, decode=32, measure="decode_tokens_per_s"),
    "decode-8k": Case(prompt=16, decode=32, depth=8192, measure="decode_tokens_per_s"),
    "decode-32k": Case(prompt=16, decode=32, depth=32768, measure="decode_tokens_per_s"),
    "together-4": Case(
        prompt=16, decode=32, measure="decode_tokens_per_s", extra=("--together", "4"),
        baseline=Case(prompt=16, decode=32, measure="decode_tokens_per_s"),
    ),
    "memory-2k": Case(prompt=2032, decode=1, measure="peak_gib"),
    "memory-32k": Case(prompt=496, decode=1, depth=32256, measure="peak_gib"),  # filled in steps of 512
    "first-token": Case(prompt=16, decode=1, measure="start_to_end_s"),
    "prompt-at-32k": Case(
        prompt=512, depth=32256, measure="prompt_tokens_per_s", baseline=Case(prompt=512, measure="prompt_tokens_per_s")
    ),
    "avx2-prompt": Case(prompt=512, measure="prompt_tokens_per_s", extra=("--isa", "avx2")),
    "avx2-decode": Case(prompt=16, decode=32, measure="decode_tokens_per_s", extra=("--isa", "avx2")),
}  # fmt: skip
MAX_LOAD = 0.7  # of one core, by others, before the run


def run(command: list[str]) -> dict[str, float]:
    """The last line of a command's output, as JSON, and how long the whole process took."""
    begin = time.perf_counter()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # what it complains of is shown
    record: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return record | {"start_to_end_s": time.perf_counter() - begin}


class Bench:
    """Runs both engines with the lengths of a case."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    def ours(self, case: Case) -> float:
        script = str(HERE / "run_ours.py")
        filled = ("--filled",) if self.options.filled and case.depth else ()
        return run([sys.executable, script, *self._arguments(case), *case.extra, *filled])[case.measure]

    def theirs(self, case: Case) -> float:
        """With flash attention off and on, the better figure; of ours with other lengths where the case says so."""
        if case.baseline is not None:
            return self.ours(case.baseline)
        command = [self.options.peer, self.options.peer_script, *self._arguments(case)]
        figures = [run([*command, "--flash", flash])[case.measure] or 0.0 for flash in ("0", "1")]
        return min(figures) if case.measure in SMALLER_IS_BETTER else max(figures)

    def _arguments(self, case: Case) -> list[str]:
        lengths = {"prompt": case.prompt, "decode": case.decode, "depth": case.depth, "threads": self.options.threads}
        return [str(self.options.model), *(f"--{name}={value}" for name, value in lengths.items())]


def compared(name: str, case: Case, bench: Bench, rounds: int) -> dict[str, object]:
    """Print the row of one case: medians, the spread of ours, the median of pairwise ratios. Returns the same."""
    ours, theirs = [], []
    for index in range(rounds):
        ours.append(bench.ours(case))
        theirs.append(bench.theirs(case))
        print(f"{name}: round {index + 1} of {rounds}", file=sys.stderr)
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True)) if all(theirs) else None
    other = "ours, see --help" if case.baseline is not None else "llama.cpp"
    middle, peer = statistics.median(ours), statistics.median(theirs)
    spread = f"({min(ours):.2f}-{max(ours):.2f})"
    shown = "-" if ratio is None else f"{ratio:.2f}"
    print(f"{name:<15}{case.measure:<22}{middle:>10.2f}{spread:>18}{peer:>11.2f}{shown:>7}  {other}")
    return {"measure": case.measure, "ours": middle, "all": ours, "other": peer, "ratio": ratio, "against": other}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--peer-script", help="llama_bench.py; with --filled its own one is the default")
    parser.add_argument("--filled", action="store_true", help="copy the tokens of a depth instead of computing them")
    parser.add_argument("--only", choices=CASES, action="append", help="a row of the table; may be repeated")
    for option, default in (("threads", 2), ("rounds", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--busy", action="store_true", help="measure although the machine is busy")
    parser.add_argument("--out", type=Path, help="write the record to this file too")
    options = parser.parse_args()
    if options.peer_script is None:
        if not options.filled:
            parser.error("expected --peer-script FILE, or --filled")
        options.peer_script = str(HERE / "peer_filled.py")
    if os.getloadavg()[0] > MAX_LOAD and not options.busy:
        sys.exit(f"the load is {os.getloadavg()[0]:.1f}: wait until the machine is quiet, or say --busy")
    bench = Bench(options)
    print(f"{options.model.name}\n{'case':<15}{'measure':<22}{'ours':>10}{'(min-max)':>18}{'other':>11}{'ratio':>7}")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True)
    summary: dict[str, dict[str, object]] = {}
    record = {
        "model": options.model.name,
        "threads": options.threads,
        "rounds": options.rounds,
        "summary": summary,
        "machine": platform.processor() or platform.machine(),
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d"),
    }
    for name in options.only or CASES:
        summary[name] = compared(name, CASES[name], bench, options.rounds)
        if options.out:  # row by row: one that fails takes no other with it
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
