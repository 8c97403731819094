"""The results page of the bundled model: every stage and size judged on rows that none of them saw.

python -m recipes.bundled.results --folder RUN --out docs/BUNDLED.md. Reports are kept in RUN/results, so that only
what is new is measured again. Start at entries and page.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mambino.compress.nested import NestedLM
from mambino.compress.sub import SubConfig
from mambino.formats.mapped import replacing
from mambino.load import open_model
from mambino.model.hybrid import HybridLM
from mambino.tokenizer.files import tokenizer_from_directory
from recipes.bundled.assistant.judge import evaluate
from recipes.bundled.export import write_gguf
from recipes.bundled.pipeline import chosen_sizes, model_after
from recipes.bundled.recipe import AVERAGED, CONFIG, ELASTIC, GUIDED, QAD_MIX, REINFORCED, SETTLE, SFT, STAGES
from recipes.posttrain import stages as reinforcement

SEED = 77  # of the rows and games of this page
_MEASURES = {
    "tool_call_exact": "tool call exact",
    "no_call_when_none_fits": "no call when none fits",
    "abstention_f1": "abstention F1",
    "thinking_switch": "thinking switch obeyed",
    "instructions": "verifiable instructions",
    "all": "all rows",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the page: a stage, a size, a number format, and how to get at the weights."""

    stage: str
    size: str
    mix: str
    model: Callable[[], HybridLM]

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.stage.replace('/', '-')}_{self.size.rstrip('%')}_{self.mix}"


def entries(folder: Path) -> Iterator[Entry]:
    """Everything that folder has reached, in the order of the run."""
    whole = {"100%": SubConfig.whole(CONFIG)}
    nested = whole | chosen_sizes(folder)
    for stage in STAGES:
        if stage is SETTLE:  # it follows reinforcement, which only the full size goes through
            yield from _entries(folder, AVERAGED, nested, mean_of=(SFT.name, GUIDED.name))
            for part in reinforcement():
                yield from _entries(folder, f"{REINFORCED}/{part.name}", whole)
        sizes = nested if stage in (ELASTIC, SFT, GUIDED, SETTLE) else whole
        yield from _entries(folder, stage.name, sizes, ("q8_0", QAD_MIX) if stage is SETTLE else ("q8_0",))


def _entries(
    folder: Path,
    name: str,
    sizes: Mapping[str, SubConfig],
    mixes: Sequence[str] = ("q8_0",),
    *,
    mean_of: Sequence[str] = (),
) -> Iterator[Entry]:
    """Of what the stage named so has left, or of the mean of others; none before that."""
    stages = mean_of or (name,)
    if all((folder / stage / "latest.pt").exists() for stage in stages):
        for size, sub in sizes.items():
            weights = partial(_sized, folder, stages, sub)
            yield from (Entry(stage=name, size=size, mix=mix, model=weights) for mix in mixes)


def _sized(folder: Path, stages: Sequence[str], sub: SubConfig) -> HybridLM:
    return NestedLM(model_after(*stages, folder=folder)).extracted(sub)


def measured(entry: Entry, folder: Path, *, count: int, episodes: int) -> Mapping[str, Any]:
    """The judge's report, kept in folder/results. Mutates folder."""
    kept, file = folder / "results" / f"{entry.name}.json", folder / "results" / f"{entry.name}.gguf"
    if not kept.exists():
        write_gguf(file, entry.model(), folder / "data" / "tokenizer", mix=entry.mix)
        tokenizer = tokenizer_from_directory(folder / "data" / "tokenizer")
        report = evaluate(open_model(file), tokenizer, count=count, seed=SEED, episodes=episodes)
        with replacing(kept) as out:
            out.write(json.dumps(report.to_json() | {"bytes": file.stat().st_size}, indent=1).encode() + b"\n")
        file.unlink()
    found: Mapping[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def page(found: Sequence[tuple[Entry, Mapping[str, Any]]]) -> str:
    """Markdown: measures by entry, kinds of row of the last stage, games."""
    count = found[0][1]["rows"]
    lines = [
        "# The bundled model, measured",
        "",
        f"{count} conversations of the split that no stage saw (other names, devices, phrasings and seeds), answered",
        "greedily by the native engine; 95 % intervals by bootstrap. Written by `python -m recipes.bundled.results`.",
        "What other ways to smaller models give, and a pure transformer of this size, is in COMPARISONS.md.",
        "",
        f"| stage | size | format | MB | {' | '.join(_MEASURES.values())} |",
        "|---" * (4 + len(_MEASURES)) + "|",
    ]
    for entry, report in found:
        cells = " | ".join(percent(report["measures"].get(name)) for name in _MEASURES)
        lines.append(f"| {entry.stage} | {entry.size} | {entry.mix} | {report['bytes'] / 1e6:.2f} | {cells} |")
    reached = {entry.stage for entry, _ in found}
    shipped = next((name for name in (SETTLE.name, AVERAGED) if name in reached), SFT.name)
    last = [(entry, report) for entry, report in found if entry.stage == shipped and entry.mix == "q8_0"]
    for title, key in (("Kinds of conversation", "kinds"), ("Games", "games")):
        named = sorted({name for _, report in last for name in report[key]})
        if not named:
            continue
        extra = ("random", "expert") if key == "games" else ()
        lines += ["", f"## {title}", "", f"| | {' | '.join([entry.size for entry, _ in last] + list(extra))} |"]
        lines.append("|---" * (1 + len(last) + len(extra)) + "|")
        for name in named:
            row = [percent(report[key].get(name)) for _, report in last]
            row += [f"{100 * last[0][1][key][name][which]:.1f}" for which in extra]
            lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def percent(summary: Mapping[str, float] | None) -> str:
    if summary is None:
        return "-"
    return f"{100 * summary['value']:.1f} ({100 * summary['low']:.1f}-{100 * summary['high']:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.bundled.results", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the run of recipes.bundled")
    parser.add_argument("--out", type=Path, required=True, help="the page, such as docs/BUNDLED.md")
    parser.add_argument("--count", type=int, default=500, help="conversations")
    parser.add_argument("--episodes", type=int, default=10, help="of each game")
    arguments = parser.parse_args()
    found = []
    for entry in entries(arguments.folder):
        found.append((entry, measured(entry, arguments.folder, count=arguments.count, episodes=arguments.episodes)))
        print(entry.name, json.dumps(found[-1][1]["measures"]["all"]), flush=True)
    with replacing(arguments.out) as file:
        file.write(page(found).encode())


if __name__ == "__main__":
    main()
