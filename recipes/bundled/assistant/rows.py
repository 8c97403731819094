"""Rows of every kind in fixed shares. Start at rows."""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from recipes.bundled.assistant import (
    chat_rows,
    desk_rows,
    drill_rows,
    fact_rows,
    home_rows,
    instruction_rows,
    tool_rows,
)
from recipes.bundled.assistant.game_rows import Games
from recipes.bundled.assistant.row import Row as Row
from recipes.bundled.assistant.row import Split

SHARES: Mapping[str, float] = {
    "call": 0.11, "calls": 0.05, "result": 0.04, "no_tool": 0.05, "desk": 0.03, "home": 0.04, "status": 0.03,
    "missing": 0.05, "persona": 0.08, "grounded": 0.10, "instruction": 0.09, "standing": 0.03, "structured": 0.03,
    "game": 0.12, "chat": 0.15,
}  # fmt: skip
_Maker = Callable[[random.Random, Split], Row]


def rows(count: int, *, seed: int, split: Split, shares: Mapping[str, float] = SHARES) -> Iterator[Row]:
    """Deterministic in its arguments; held_out rows use names, phrasings and games that no row of train has.

    shares: how often each kind comes up, relative to the others; kinds left out do not (SHARES leaves out the drills).

    Raises     Unsupported without the extra `evals`, whose verifiers every row of instructions has passed
    """
    rng = random.Random(f"{split} {seed}")
    makers: Mapping[str, _Maker] = {
        "call": tool_rows.call, "calls": tool_rows.calls, "result": tool_rows.result, "no_tool": tool_rows.no_tool,
        "desk": desk_rows.desk, "home": home_rows.act, "status": home_rows.status, "missing": home_rows.missing,
        "persona": fact_rows.persona, "grounded": fact_rows.grounded,
        "instruction": instruction_rows.instruction, "standing": instruction_rows.standing,
        "structured": instruction_rows.structured, "game": Games().row, "chat": chat_rows.chat,
        "drill": drill_rows.tools, "choice_drill": partial(drill_rows.tools, unfit_share=0.45, two_share=0.3),
        "home_drill": drill_rows.home, "fact_drill": drill_rows.facts, "instruction_drill": drill_rows.instructions,
    }  # fmt: skip
    for kind in rng.choices(list(shares), list(shares.values()), k=count):
        yield makers[kind](rng, split)
