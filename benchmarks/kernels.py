"""Every kernel alone, one thread, beside the limit of this core that holds it back: a table, then one JSON line.

    cmake -B build -DMAMBINO_TESTS=ON -DMAMBINO_PYTHON=OFF && cmake --build build --target bench_kernels
    python benchmarks/kernels.py build/bench_kernels [--isa avx512] [--only Q5_0]

gemv is given in GB/s of weights read (limit: reading memory), gemm and the scan in tera-operations a second (limit:
int8 products, a quarter of that for float ones), conv and attention in GB/s. "error" is the largest difference from the
reference kernel in the same run. Limits are measured in turns with the kernel, by the same clock.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# Float sums of up to 8,192 terms round by about this, relative to the largest result.
MAX_ERROR = 1e-4
COLUMNS = ("kernel", "type", "isa", "tokens", "best", "median", "unit", "limit", "%", "error")
HEADER = "{:<10}{:<8}{:<11}{:>6}{:>9}{:>9} {:<5}{:>8}{:>5}{:>10}".format(*COLUMNS)


def table_line(row: dict[str, Any]) -> str:
    share = f"{100 * row['best'] / row['limit']:.0f}" if row["limit"] else "-"
    name = f"{row['op']:<10}{row['type']:<8}{row['isa']:<11}{row['tokens']:>6}"
    speed = f"{row['best']:>9.3f}{row['median']:>9.3f} {row['unit']:<5}{row['limit']:>8.3f}{share:>5}"
    return f"{name}{speed}{row['error']:>10.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, help="bench_kernels, as built")
    parser.add_argument("--isa", choices=("avx512", "avx2"), default="avx512")
    parser.add_argument("--only", help="a weight type, scan, conv or attention")
    options = parser.parse_args()
    command = [str(options.program), options.isa, *([options.only] if options.only else [])]
    print(HEADER)
    rows = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            row = json.loads(line)
            rows.append(row)
            print(table_line(row), flush=True)
    if process.returncode:
        sys.exit(f"{options.program} ended with status {process.returncode}")
    print(json.dumps({"isa": options.isa, "kernels": rows}))
    wrong = [f"{row['op']} {row['type']}" for row in rows if row["error"] > MAX_ERROR]
    if wrong:
        sys.exit(f"differ from their reference by more than {MAX_ERROR}: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
