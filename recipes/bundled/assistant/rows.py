"""Rows of every kind in fixed shares. Start at rows."""

import random
from collections.abc import Callable, Iterator, Mapping

from recipes.bundled.assistant import chat_rows, fact_rows, home_rows, instruction_rows, tool_rows
from recipes.bundled.assistant.row import Row, Split

Maker = Callable[[random.Random, Split], Row]
# kind: share, maker
KINDS: Mapping[str, tuple[float, Maker]] = {
    "call": (0.14, tool_rows.call),
    "calls": (0.06, tool_rows.calls),
    "result": (0.06, tool_rows.result),
    "no_tool": (0.05, tool_rows.no_tool),
    "home": (0.05, home_rows.act),
    "status": (0.04, home_rows.status),
    "missing": (0.05, home_rows.missing),
    "persona": (0.08, fact_rows.persona),
    "grounded": (0.10, fact_rows.grounded),
    "instruction": (0.09, instruction_rows.instruction),
    "standing": (0.03, instruction_rows.standing),
    "structured": (0.03, instruction_rows.structured),
    "chat": (0.15, chat_rows.chat),
}


def rows(count: int, *, seed: int, split: Split) -> Iterator[Row]:
    """Deterministic in its arguments; held_out rows use names and phrasings that no row of train has."""
    rng = random.Random(f"{split} {seed}")
    shares = [share for share, _ in KINDS.values()]
    makers = [maker for _, maker in KINDS.values()]
    for maker in rng.choices(makers, shares, k=count):
        yield maker(rng, split)
