"""What `mambino eval` prints. Start at print_results."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

from mambino.cli.terminal import has_colour
from mambino.evals.comparison import Compared
from mambino.evals.report import shown
from mambino.evals.runner import Progress, Results

_MOST_REASON = 150  # characters


def print_results(result: Results) -> None:
    print(f"{result.suite}  {result.model}, {len(result.records)} samples, scored by {result.version}")
    for name, metric in result.metrics.items():
        print(f"  {name:<24} {shown(name, metric)}")
    if result.unanswered:
        print(f"  unanswered {result.unanswered:>3}  samples of the suite")
    for reason, count in result.unscored.items():
        print(f"  unscored {count:>5}  {reason[:_MOST_REASON]}")


def print_comparison(compared: Sequence[Compared], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([_json(row) for row in compared]))
        return
    print(f"A: {compared[0].a}\nB: {compared[0].b}\nB minus A, with 95 % intervals over the samples of both:")
    for row in compared:
        found = row.difference
        verdict = "B is higher" if found.low > 0 else "B is lower" if found.high < 0 else "no clear difference"
        print(
            f"  {row.suite:<16} {row.metric:<20} {found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f})  "
            f"p {found.p:.3f}  {found.samples} samples  {verdict}"
        )


def _json(row: Compared) -> dict[str, object]:
    found = asdict(row.difference)
    names = {"suite": row.suite, "metric": row.metric, "a": row.a, "b": row.b}
    return names | {"difference": found.pop("value")} | found


@contextmanager
def counting(suite: str) -> Iterator[Progress]:
    """A counter on a terminal, nothing elsewhere."""
    if not has_colour(sys.stderr):
        yield lambda done, total: None
        return

    def report(done: int, total: int) -> None:
        sys.stderr.write(f"\r{suite}: {done} of {total}")
        sys.stderr.flush()

    try:
        yield report
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
