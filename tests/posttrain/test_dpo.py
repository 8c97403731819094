"""DPO: the loss by hand, faults by line, and that the chosen answers win, resumably."""

import copy
import json
import math
from pathlib import Path

import pytest
import torch

from mambino.chat.prompt import PromptEncoder
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.posttrain.dpo import DpoSettings, dpo_loss, read_pairs, train_dpo
from mambino.train.optim import Optimizer, OptimSettings, WarmupStableDecay
from tiny_chat import tiny_chat_config, tiny_tokenizer

pytestmark = pytest.mark.torch

SETTINGS = DpoSettings(beta=0.5, pairs=3, save_every_steps=2)


def pairs_file(path: Path) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": f"{index}?"}],
         "chosen": {"role": "assistant", "content": "I do not know."},
         "rejected": {"role": "assistant", "content": f"It is {index}!"}}
        for index in range(5)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def trained(
    folder: Path, path: Path, steps: int, stop_at: int | None = None
) -> tuple[HybridLM, list[dict[str, float]]]:
    tokenizer = tiny_tokenizer()
    reference = HybridLM(tiny_chat_config(tokenizer), generator=torch.Generator().manual_seed(2))
    model = copy.deepcopy(reference)
    optimizer = Optimizer.for_model(model, OptimSettings(learning_rate=3e-3, use_muon=False, weight_decay=0.0))
    schedule = WarmupStableDecay(warmup_steps=1, stable_steps=(stop_at or steps) - 1, decay_steps=0)
    train_dpo(model, reference, optimizer, schedule, read_pairs(path, PromptEncoder(tokenizer)), folder=folder,
              settings=SETTINGS)  # fmt: skip
    return model, [json.loads(line) for line in (folder / "health.jsonl").read_text().splitlines()]


def test_the_loss_is_that_of_the_paper() -> None:
    given = [
        torch.tensor(values, dtype=torch.float64) for values in ([-3.0, -5.0], [-4.0, -2.0], [-3.5, -5.0], [-3.0, -2.5])
    ]
    margins = [(-3.0 + 3.5) - (-4.0 + 3.0), 0.0 - (-2.0 + 2.5)]
    expected = sum(math.log1p(math.exp(-0.1 * margin)) for margin in margins) / 2
    assert dpo_loss(*given, beta=0.1).item() == pytest.approx(expected, rel=1e-12)


def test_chosen_answers_win_and_a_cut_run_ends_as_the_whole_one(tmp_path: Path) -> None:
    path = pairs_file(tmp_path / "pairs.jsonl")
    whole, health = trained(tmp_path / "whole", path, 6)
    assert health[0]["margin"] == pytest.approx(0.0, abs=1e-5)
    assert health[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert health[-1]["accuracy"] == 1.0
    assert health[-1]["margin"] > 0.5
    trained(tmp_path / "cut", path, 6, stop_at=2)
    again, _ = trained(tmp_path / "cut", path, 6)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


def test_faults_are_listed_by_line(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    third = {
        "messages": [{"role": "user", "content": "Q"}],
        "chosen": {"role": "assistant", "content": ""},
        "rejected": {"role": "user", "content": "x"},
    }
    path.write_text('{"messages": []}\n{\n' + json.dumps(third))
    with pytest.raises(InputError, match=r"3 faults(?s:.*)line 1(?s:.*)line 2(?s:.*)line 3: chosen"):
        read_pairs(path, PromptEncoder(tiny_tokenizer()))
