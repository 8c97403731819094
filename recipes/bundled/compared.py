"""The page of comparisons.py and twin.py: what they found, as tables.

python -m recipes.bundled.compared --folder RUN --out docs/COMPARISONS.md; parts that did not run yet are left out.
Start at page.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mambino.formats.mapped import replacing
from recipes.bundled.recipe import YOUNG
from recipes.bundled.results import percent

Found = Sequence[Mapping[str, Any]]

_HEAD = f"""# Was compressing worth it?

One parent, made like the bundled model in fewer steps ({YOUNG.schedule.total_steps:,}; `YOUNG` in
`recipes/bundled/recipe.py`), and other ways to the same end. Written by `python -m recipes.bundled.compared` from
what `recipes.bundled.comparisons` and `recipes.bundled.twin` measured on rows of other names, devices, phrasings and
seeds; 95 % intervals by bootstrap.
"""


def page(parts: Mapping[str, Found]) -> str:
    """Markdown. parts: by the name of the file they were kept in."""
    shown = [_HEAD]
    for name, (title, table) in _PARTS.items():
        if name in parts:
            shown.append(f"## {title}\n\n{table(parts[name])}")
    return "\n".join(shown)


def _arms(found: Found) -> str:
    return _table(
        ("way to half the parameters", "parameters", "tokens taught", "held-out nats a token", "more than elastic"),
        [(one["name"], f"{one['num_parameters']:,}", f"{one['num_tokens']:,}",
          *(_interval(*(one[key] for key in keys)) for keys in
            (("loss", "low", "high"), ("behind", "behind_low", "behind_high")))) for one in found],
    )  # fmt: skip


def _searches(found: Found) -> str:
    return _table(
        ("budget", "sizes by", "parameters", "width", "layers", "KL as cut", "KL after the same distillation"),
        [(one["budget"], one["by"], f"{one['parameters']:,}", one["hidden_size"], f"`{one['pattern']}`",
          f"{one['before']:.4f}", f"{one['after']:.4f}") for one in found],
    )  # fmt: skip


def _rounding(found: Found) -> str:
    return _table(
        ("weights", "format", "MB", "KL to the parent", "calls exact, %", "instructions, %", "all rows, %"),
        [(one["weights"], one["mix"], f"{one['bytes'] / 1e6:.2f}", f"{one['kl']:.4f}",
          *(percent(one[key]) for key in ("tool_call_exact", "instructions", "all"))) for one in found],
    )  # fmt: skip


def _twin(found: Found) -> str:
    return _table(
        ("", "parameters", "held-out loss", "calls exact, %", "all rows, %", "memory of 1,024 tokens, KiB",
         "first token after 512, ms"),
        [(one["name"], f"{one['parameters']:,}", f"{one['nats']:.4f}", f"{100 * one['calls_exact']:.1f}",
          f"{100 * one['all_rows']:.1f}", f"{one['state_bytes'] / 1024:,.0f}", f"{1e3 * one['first_token_s']:.1f}")
         for one in found],
    )  # fmt: skip


_PARTS: Mapping[str, tuple[str, Callable[[Found], str]]] = {
    "arms": ("Five ways to half the size", _arms),
    "searches": ("Sizes by trial, and by a router", _searches),
    "rounding": ("Rounding to four bits, as it is and after distillation on the grid", _rounding),
    "twin": ("The hybrid and its pure-transformer twin", _twin),
}


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.4f} ({low:.4f} to {high:.4f})"


def _table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    cells = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in cells)


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.bundled.compared", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the run of recipes.bundled")
    parser.add_argument("--out", type=Path, required=True, help="the page, such as docs/COMPARISONS.md")
    arguments = parser.parse_args()
    kept = {name: arguments.folder / "comparisons" / f"{name}.json" for name in _PARTS}
    parts = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in kept.items() if path.exists()}
    with replacing(arguments.out) as file:
        file.write(page(parts).encode())


if __name__ == "__main__":
    main()
