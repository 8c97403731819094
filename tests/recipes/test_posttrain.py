"""The post-training recipe: experts earn full reward, stages are as announced, and a short run goes through."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from recipes.bundled.assistant.rows import rows
from recipes.posttrain import ENVIRONMENTS, OneAnswer, run, stages, tasks_of

from mambino.chat.messages import Message
from mambino.posttrain.rollout import Attempt, Task, Trajectory, judged

pytestmark = pytest.mark.torch


def answered(task: Task, answer: Message, *, is_thinking: bool) -> Trajectory:
    none = np.zeros(0)
    return Trajectory(
        attempt=Attempt(task=task, is_thinking=is_thinking, seed=(0,)), tokens=none.astype(np.int32),
        is_sampled=none.astype(np.bool_), logprobs=none.astype(np.float32), answers=(answer,), finish="stop",
    )  # fmt: skip


def test_the_experts_answer_earns_full_reward_if_it_thinks_when_asked() -> None:
    pytest.importorskip("if_verifiable")
    kinds = {kind for found in ENVIRONMENTS.values() for kind in found}
    for row in (row for row in rows(25, seed=5, split="train") if row.kind in kinds):
        task = Task(id="x", environment="x", messages=row.messages[:-1], tools=row.tools, begin=partial(OneAnswer, row))
        expert = row.messages[-1]
        assert judged(answered(task, expert, is_thinking=row.thinks), task.begin()).value == 1.0, row
        assert judged(answered(task, expert, is_thinking=not row.thinks), task.begin()).value == 0.0


def test_training_and_held_out_tasks_differ() -> None:
    pytest.importorskip("if_verifiable")
    seen, unseen = (
        {str(task.messages) for task in tasks_of("tools", 20, split=split)} for split in ("train", "held_out")
    )
    assert len(seen) == len(unseen) == 20
    assert not seen & unseen


def test_stages_add_environments_and_raise_the_kl_weight_with_half_the_prompts_thinking() -> None:
    made = stages(3)
    assert [sorted(stage.shares) for stage in made] == [
        ["instruction"], ["instruction", "structured", "turns"], ["instruction", "structured", "tools", "turns"],
    ]  # fmt: skip
    weights = [stage.settings.kl_weight for stage in made]
    assert weights == sorted(set(weights))
    assert {stage.settings.thinking_share for stage in made} == {0.5}


@pytest.mark.slow
def test_a_short_run_goes_through_all_stages_and_leaves_its_records(tmp_path: Path) -> None:
    small = [
        replace(stage, settings=replace(stage.settings, prompts=2, group_size=2, max_tokens=16, tries=0))
        for stage in stages(1)
    ]
    results = run(tmp_path, small, model_name="bundled", tasks=6, held_out=2)
    assert [one["after"] for one in results] == ["start", *(stage.name for stage in small)]
    for stage in small:
        assert (tmp_path / stage.name / "health.png").is_file()
        checkpoint = torch.load(tmp_path / stage.name / "latest.pt", weights_only=True)  # for the page of results
        assert checkpoint["step"] == stage.steps
