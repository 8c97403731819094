"""Our engine and llama.cpp on the same file, threads and lengths, in alternating runs: a table, then one JSON line.

    python benchmarks/compare.py MODEL --peer PYTHON --peer-script llama_bench.py [--prompt 512] [--rounds 5] ...

PYTHON is an interpreter that has llama-cpp-python (tools/fetch_test_files.py makes one). The peer runs with and without
flash attention, and the better of the two counts. Refuses to run on a busy machine unless told with --busy.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASURES = ("prompt_tokens_per_s", "decode_tokens_per_s", "peak_gib")
MAX_LOAD = 0.7  # of one core, by others, before the run


def run(command: list[str]) -> dict[str, float]:
    """The last line of a command's output, as JSON."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    record: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return record


def best_of_both(command: list[str]) -> dict[str, float]:
    """The peer with flash attention off and on: for each measure the better figure."""
    off, on = run([*command, "--flash", "0"]), run([*command, "--flash", "1"])
    pick = {"peak_gib": min}
    return {name: pick.get(name, max)(off[name] or 0, on[name] or 0) for name in MEASURES}


def table(name: str, ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Print a row a measure: medians, the spread of ours, the median of pairwise ratios. Returns the same numbers."""
    summary = {}
    print(f"\n{name}\n{'measure':<22}{'ours':>10}{'(min-max)':>18}{'llama.cpp':>11}{'ratio':>8}")
    for measure in MEASURES:
        mine, peers = [r[measure] for r in ours], [r[measure] for r in theirs]
        if not all(mine) or not all(peers):
            continue
        ratio = statistics.median(a / b for a, b in zip(mine, peers, strict=True))
        summary[measure] = {"ours": statistics.median(mine), "llama_cpp": statistics.median(peers), "ratio": ratio}
        spread = f"({min(mine):.2f}-{max(mine):.2f})"
        print(
            f"{measure:<22}{statistics.median(mine):>10.2f}{spread:>18}{statistics.median(peers):>11.2f}{ratio:>8.2f}"
        )
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--peer-script", required=True)
    for option, default in (("prompt", 512), ("decode", 16), ("depth", 0), ("threads", 2), ("rounds", 5)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--busy", action="store_true", help="measure although the machine is busy")
    parser.add_argument("--out", type=Path, help="write the record to this file too")
    options = parser.parse_args()
    if os.getloadavg()[0] > MAX_LOAD and not options.busy:
        sys.exit(f"the load is {os.getloadavg()[0]:.1f}: wait until the machine is quiet, or say --busy")
    lengths = [f"--{name}={getattr(options, name)}" for name in ("prompt", "decode", "depth", "threads")]
    our_command = [sys.executable, str(HERE / "run_ours.py"), str(options.model), *lengths]
    their_command = [options.peer, options.peer_script, str(options.model), *lengths]
    ours, theirs = [], []
    for index in range(options.rounds):
        ours.append(run(our_command))
        theirs.append(best_of_both(their_command))
        print(f"round {index + 1} of {options.rounds}", file=sys.stderr)
    summary = table(f"{options.model.name} {' '.join(lengths)}", ours, theirs)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True
    ).stdout.strip()
    record = {
        "model": options.model.name,
        "lengths": lengths,
        "rounds": options.rounds,
        "summary": summary,
        "machine": platform.processor() or platform.machine(),
        "commit": commit,
        "date": time.strftime("%Y-%m-%d"),
        "last": ours[-1],
    }
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
