"""Seconds from a fresh interpreter to an open model and tokenizer, page cache warm: median, then one JSON line.

python benchmarks/open_time.py MODEL [--rounds 7]
"""

import argparse
import json
import statistics
import subprocess
import sys

STEPS = """
import sys, time
begin = time.perf_counter()
import mambino
mambino.open_model(sys.argv[1])
model_s = time.perf_counter() - begin
mambino.open_tokenizer(sys.argv[1])
print(model_s, time.perf_counter() - begin)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    command = [sys.executable, "-c", STEPS, options.model]
    subprocess.run(command, check=True, capture_output=True)  # fills the page cache and the tokenizer cache
    rounds = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(options.rounds)]
    model_s, total_s = (list(column) for column in zip(*(map(float, line.split()) for line in rounds), strict=True))
    print(f"model {statistics.median(model_s):.3f} s, model and tokenizer {statistics.median(total_s):.3f} s")
    print(json.dumps({"model_s": sorted(model_s), "total_s": sorted(total_s)}))


if __name__ == "__main__":
    main()
