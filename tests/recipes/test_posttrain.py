"""The post-training recipe: experts earn full reward, stages are as announced, and a short run goes through."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recipes.posttrain import ENVIRONMENTS, HELD_OUT_SEED, TRAINING_SEED, WARM_UP, run, stages, tasks_of, write_warm_up
from recipes.posttrain_tasks import TEMPLATE, task_rows

from mambino.chat.gym_rows import gym_prompt
from mambino.chat.prompt import PromptEncoder
from mambino.load import open_tokenizer
from mambino.posttrain.rollout import Attempt, Trajectory, judged
from mambino.posttrain.sft import prepare

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_experts_answer_earns_full_reward(environment: str) -> None:
    pytest.importorskip("if_verifiable")
    pytest.importorskip("jsonschema")
    rows = task_rows(environment, 12, seed=5)
    assert rows == task_rows(environment, 12, seed=5)
    none = np.zeros(0)
    for task, one in zip(tasks_of(environment, 12, seed=5), rows, strict=True):
        made = Trajectory(
            attempt=Attempt(task=task, is_thinking=None, seed=(0,)), tokens=none.astype(np.int32),
            is_sampled=none.astype(np.bool_), logprobs=none.astype(np.float32), answers=(one.answer,), finish="stop",
        )  # fmt: skip
        assert judged(made, task.begin()).value == 1.0, one


def test_training_and_held_out_tasks_differ() -> None:
    for environment in ("structured", "turns"):
        seen, unseen = (
            {str(gym_prompt("x", one.row).messages) for one in task_rows(environment, 40, seed=seed)}
            for seed in (TRAINING_SEED, HELD_OUT_SEED)
        )
        assert unseen - seen


def test_stages_add_environments_and_raise_the_kl_weight_with_half_the_prompts_thinking() -> None:
    made = stages(3)
    assert [sorted(stage.shares) for stage in made] == [
        ["instruction"], ["instruction", "structured", "turns"], ["instruction", "structured", "tool", "turns"],
    ]  # fmt: skip
    weights = [stage.settings.kl_weight for stage in made]
    assert weights == sorted(set(weights))
    assert {stage.settings.thinking_share for stage in made} == {0.5}


def test_the_warm_up_is_sound_for_the_bundled_tokenizer_and_the_recipes_template(tmp_path: Path) -> None:
    write_warm_up(tmp_path / "warm_up.jsonl", 6)
    report = prepare(tmp_path / "warm_up.jsonl", PromptEncoder(open_tokenizer(), TEMPLATE), WARM_UP).report
    assert report.rows == 24
    assert report.stripped > 4
    assert not report.too_long


@pytest.mark.slow
def test_a_short_run_goes_through_all_stages_and_leaves_its_records(tmp_path: Path) -> None:
    small = [
        replace(stage, settings=replace(stage.settings, prompts=2, group_size=2, max_tokens=16, tries=0))
        for stage in stages(1)
    ]
    results = run(tmp_path, small, model_name="bundled", tasks=6, held_out=2)
    assert [one["after"] for one in results] == ["start", "0-warm-up", *(stage.name for stage in small)]
    for stage in small:
        assert (tmp_path / stage.name / "health.png").is_file()
