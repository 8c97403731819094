"""The plan adds up, is an upper bound of what a model takes, and its advice works."""

import pytest

from mambino.errors import InputError
from mambino.planner import MemoryPlan, advice, plan_memory, require_fit
from mambino.presets import PRESETS

CONFIG = PRESETS["nemotron-3-nano-4b"]
WEIGHTS = 2_826_778_752
GIB = 2**30


def plan(context: int = 32_768, slots: int = 2, ceiling: int | None = None) -> MemoryPlan:
    return plan_memory(CONFIG, weights_nbytes=WEIGHTS, context=context, slots=slots, ceiling=ceiling)


def test_the_published_model_has_its_known_sizes() -> None:
    known = plan()
    assert known.kv == 2 * 32_768 * 16 * 1024
    assert known.state == 2 * CONFIG.state_nbytes(0)
    assert known.total == (known.weights + known.state + known.kv + known.snapshots + known.scratch + known.process)
    assert 50e6 < known.scratch < 150e6


def test_snapshots_get_a_tenth_of_the_ceiling_or_what_is_left() -> None:
    assert plan(4096, 1, ceiling=8 * GIB).snapshots == int(0.8 * GIB)
    tight = plan(4096, 1).total - plan(4096, 1).snapshots + 1000
    assert plan(4096, 1, ceiling=tight).snapshots == 1000
    assert plan(4096, 1, ceiling=GIB).snapshots == 0


def test_one_conversation_at_its_full_length_can_keep_its_places() -> None:
    deep = plan(32_768, 1)
    assert deep.kv + 4 * deep.state == deep.snapshots
    assert plan(32_768, 1, ceiling=6 * GIB).snapshots == deep.snapshots
    assert plan(4096, 1).snapshots == 512 * 2**20
    assert plan(200_000, 1).snapshots == GIB


def test_each_piece_of_advice_is_enough() -> None:
    ceiling = int(3.6 * GIB)
    lines = advice(CONFIG, plan(ceiling=ceiling), ceiling)
    context = next(int(line.split()[1]) for line in lines if line.startswith("--context"))
    assert advice(CONFIG, plan(context, 2, ceiling), ceiling) == []
    assert advice(CONFIG, plan(context + 64, 2, ceiling), ceiling) != []
    slots = next(int(line.split()[1]) for line in lines if line.startswith("--slots"))
    assert advice(CONFIG, plan(32_768, slots, ceiling), ceiling) == []
    assert any("bits per weight" in line for line in lines)


def test_what_cannot_fit_says_so() -> None:
    with pytest.raises(InputError, match=r"needs \d+ MiB.*allows 100 MiB.*smaller model"):
        require_fit(CONFIG, plan(512, 1, 100 * 2**20), 100 * 2**20)
    require_fit(CONFIG, plan(512, 1, 8 * GIB), 8 * GIB)
    with pytest.raises(InputError, match="at least 1"):
        plan(0)
