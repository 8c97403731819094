"""The results page: a line an entry, every number where its heading says, gaps shown as gaps."""

import pytest

pytest.importorskip("torch")
from recipes.bundled import compared
from recipes.bundled.recipe import CONFIG, PRETRAIN, SFT
from recipes.bundled.results import Entry, page

from mambino.model.hybrid import HybridLM

pytestmark = pytest.mark.torch


def entry(stage: str, size: str) -> Entry:
    return Entry(stage=stage, size=size, mix="q8_0", model=lambda: HybridLM(CONFIG))


def summary(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def test_the_page_says_what_the_reports_say() -> None:
    early = {"rows": 9, "bytes": 3_500_000, "measures": {"all": summary(0.25)}, "kinds": {}, "games": {}}
    late = early | {
        "measures": {"all": summary(0.75), "tool_call_exact": summary(0.5)},
        "kinds": {"call": summary(0.5)},
        "games": {"farm": summary(0.4) | {"random": 0.1, "expert": 0.9}},
    }
    lines = page([(entry(PRETRAIN.name, "100%"), early), (entry(SFT.name, "50%"), late)]).splitlines()
    assert "| 1-pretrained | 100% | q8_0 | 3.50 | - | - | - | - | - | 25.0 (15.0-35.0) |" in lines
    assert "| 5-sft | 50% | q8_0 | 3.50 | 50.0 (40.0-60.0) | - | - | - | - | 75.0 (65.0-85.0) |" in lines
    assert "| call | 50.0 (40.0-60.0) |" in lines
    assert "| farm | 40.0 (30.0-50.0) | 10.0 | 90.0 |" in lines


def test_the_page_of_comparisons_shows_the_parts_that_ran() -> None:
    arm = {
        "name": "elastic",
        "num_parameters": 1_500_000,
        "num_tokens": 9,
        "loss": 0.5,
        "low": 0.4,
        "high": 0.6,
        "behind": 0.0,
        "behind_low": 0.0,
        "behind_high": 0.0,
    }
    text = compared.page({"arms": [arm]})
    assert "| elastic | 1,500,000 | 9 | 0.5000 (0.4000 to 0.6000) | 0.0000 (0.0000 to 0.0000) |" in text
    assert "router" not in text
