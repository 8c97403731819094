"""The results page: a line an entry, every number where its heading says, gaps shown as gaps."""

from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
import torch
from recipes.bundled import compared
from recipes.bundled.pipeline import RANKED
from recipes.bundled.recipe import AVERAGED, CONFIG, ELASTIC, GUIDED, PRETRAIN, REINFORCED, SETTLE, SFT
from recipes.bundled.results import Entry, entries, page
from recipes.posttrain import stages

from mambino.compress.offered import FILE_NAME, nested_text
from mambino.compress.sub import SubConfig
from mambino.model.hybrid import HybridLM
from mambino.train import checkpoint
from mambino.train.checkpoint import Progress
from mambino.train.optim import Optimizer, OptimSettings

pytestmark = pytest.mark.torch


def entry(stage: str, size: str) -> Entry:
    return Entry(stage=stage, size=size, mix="q8_0", model=lambda: HybridLM(CONFIG))


def summary(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def leave(folder: Path, stage: str, scale: float) -> None:
    """What a stage leaves behind, with scale as every weight of the last norm. Mutates folder."""
    model = HybridLM(CONFIG)
    torch.nn.init.constant_(model.norm_f.weight, scale)
    optimizer = Optimizer.for_model(model, OptimSettings(learning_rate=1e-3))
    checkpoint.save(folder / stage / "latest.pt", model, optimizer, SimpleNamespace(state={}), Progress())


def test_every_stage_of_reinforcement_is_an_entry_of_its_own_weights_between_sft_and_settled(tmp_path: Path) -> None:
    reinforced = [f"{REINFORCED}/{stage.name}" for stage in stages()]
    for number, stage in enumerate((PRETRAIN.name, SFT.name, *reinforced[:2]), 1):
        leave(tmp_path, stage, number)
    found = list(entries(tmp_path))
    assert [(one.stage, one.size, one.mix) for one in found] == [
        (stage, "100%", "q8_0") for stage in (PRETRAIN.name, SFT.name, *reinforced[:2])
    ]
    assert [one.model().norm_f.weight[0].item() for one in found] == [1, 2, 3, 4]
    for number, stage in enumerate((reinforced[2], SETTLE.name), 5):
        leave(tmp_path, stage, number)
    found = list(entries(tmp_path))
    assert [one.stage for one in found][2:] == [*reinforced, SETTLE.name, SETTLE.name]
    names = [one.name for one in found]
    assert names[2] == "7-reinforced-1-instructions_100_q8_0"
    assert len(set(names)) == len(names)
    assert not any("/" in name for name in names)


def test_the_mean_of_both_ways_of_teaching_is_an_entry(tmp_path: Path) -> None:
    (tmp_path / RANKED).mkdir()
    (tmp_path / RANKED / FILE_NAME).write_text(nested_text({"50%": SubConfig.whole(CONFIG)}))
    leave(tmp_path, SFT.name, 1)
    assert AVERAGED not in [one.stage for one in entries(tmp_path)]
    leave(tmp_path, GUIDED.name, 4)
    found = {one.size: one for one in entries(tmp_path) if one.stage == AVERAGED}
    assert list(found) == ["100%", "50%"]
    assert found["100%"].model().norm_f.weight[0].item() == 2.5


def test_nested_stages_are_measured_at_every_size_and_the_settled_one_in_four_bits_too(tmp_path: Path) -> None:
    (tmp_path / RANKED).mkdir()
    (tmp_path / RANKED / FILE_NAME).write_text(nested_text({"50%": SubConfig.whole(CONFIG)}))
    for stage in (PRETRAIN.name, ELASTIC.name, f"{REINFORCED}/{stages()[2].name}", SETTLE.name):
        leave(tmp_path, stage, 1)
    assert [(one.stage, one.size, one.mix) for one in entries(tmp_path)] == [
        (PRETRAIN.name, "100%", "q8_0"),
        (ELASTIC.name, "100%", "q8_0"),
        (ELASTIC.name, "50%", "q8_0"),
        (f"{REINFORCED}/3-tools", "100%", "q8_0"),
        (SETTLE.name, "100%", "q8_0"),
        (SETTLE.name, "100%", "q4_0"),
        (SETTLE.name, "50%", "q8_0"),
        (SETTLE.name, "50%", "q4_0"),
    ]


def test_the_page_names_where_comparisons_and_the_twin_are_and_shows_the_settled_model_in_four_bits() -> None:
    report = {"rows": 9, "bytes": 2_050_000, "measures": {"all": summary(0.5)}, "kinds": {"call": summary(0.5)}}
    settled = [
        Entry(stage=SETTLE.name, size="100%", mix=mix, model=lambda: HybridLM(CONFIG)) for mix in ("q8_0", "q4_0")
    ]
    text = page([(one, report | {"games": {}}) for one in settled])
    assert "pure transformer of this size, is in COMPARISONS.md" in text
    assert "| 8-settled | 100% | q4_0 | 2.05 |" in text
    assert "| call | 50.0 (40.0-60.0) |\n" in text  # once: kinds are shown of the format that is shipped


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
