"""The announcement's post-training at the size of the bundled model: a warm-up on formats, then three stages of GRPO.

Published: the three stages and what joins in each, half of the prompts with thinking on and half off, a KL weight that
rises from stage to stage. Not published, and ours: all numbers. Start at stages (python -m recipes.posttrain --help).
"""

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mambino.chat.gym_rows import gym_prompt
from mambino.chat.prompt import PromptEncoder
from mambino.formats.checkpoint import open_checkpoint
from mambino.hub.local import resolve
from mambino.lm import LanguageModel
from mambino.load import tokenizer_of
from mambino.model.hybrid import HybridLM
from mambino.model.torch_lm import TorchLM
from mambino.model.weights import load_weights
from mambino.posttrain.grpo import GrpoSettings, grpo
from mambino.posttrain.health import plot_health
from mambino.posttrain.mixture import TaskMixture
from mambino.posttrain.policy import torch_policy
from mambino.posttrain.rewards import gym_task
from mambino.posttrain.rollout import Attempt, Task, collect
from mambino.posttrain.sft import SftSettings, fine_tune, prepare
from mambino.train.optim import Optimizer, OptimSettings, WarmupStableDecay
from recipes.posttrain_tasks import TEMPLATE, task_rows

ENVIRONMENTS = ("instruction", "turns", "structured", "tool")
TRAINING_SEED, HELD_OUT_SEED = 1, 2
WARM_UP = SftSettings(learning_rate=1e-3, epochs=3, rows=8, row_size=512, stripped_share=0.5, cut_share=0.03)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of reinforcement: environments with their shares of every batch, and the settings of its steps."""

    name: str
    shares: dict[str, float]
    steps: int
    learning_rate: float
    settings: GrpoSettings


def stages(steps: int = 120) -> tuple[Stage, ...]:
    """Instruction following; + multi-turn and structured output; + tool use. Earlier skills stay in the batches."""
    shares: tuple[dict[str, float], ...] = (
        {"instruction": 1.0},
        {"instruction": 0.4, "turns": 0.3, "structured": 0.3},
        {"instruction": 0.2, "turns": 0.15, "structured": 0.15, "tool": 0.5},
    )
    names = ("1-instructions", "2-turns-and-structure", "3-tools")
    return tuple(
        Stage(
            name=name, shares=share, steps=steps, learning_rate=2e-5,
            settings=GrpoSettings(
                prompts=16, group_size=8, max_tokens=96, kl_weight=kl_weight, thinking_share=0.5, seed=index
            ),
        )
        for index, (name, share, kl_weight) in enumerate(zip(names, shares, (0.01, 0.02, 0.04), strict=True))
    )  # fmt: skip


def tasks_of(environment: str, count: int, *, seed: int) -> list[Task]:
    """Named after the recipe's environment, whatever verifier judges them."""
    made = [gym_task(f"{seed}-{index}", one.row) for index, one in enumerate(task_rows(environment, count, seed=seed))]
    return [
        Task(id=task.id, environment=environment, messages=task.messages, begin=task.begin, tools=task.tools)
        for task in made
    ]


def write_warm_up(path: Path, count: int) -> None:
    """Expert answers to count tasks of each environment, as chats to learn from. Mutates path."""
    rows = []
    for environment in ENVIRONMENTS:
        for index, one in enumerate(task_rows(environment, count, seed=TRAINING_SEED)):
            asked = gym_prompt(str(index), one.row)
            messages = [message.to_json() for message in (*asked.messages, one.answer)]
            rows.append(json.dumps({"messages": messages, "tools": list(asked.tools)}))
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def held_out_rewards(model: LanguageModel, prompt: PromptEncoder, count: int) -> dict[str, float]:
    """Mean reward by environment on tasks that no stage sees, half of them with thinking."""
    tasks = [task for name in ENVIRONMENTS for task in tasks_of(name, count, seed=HELD_OUT_SEED)]
    attempts = [Attempt(task=task, is_thinking=index % 2 == 0, seed=(9, index)) for index, task in enumerate(tasks)]
    made = collect(model, prompt, attempts, max_tokens=96)
    means = {}
    for name in ENVIRONMENTS:
        values = [one.reward.value for one in made if one.attempt.task.environment == name]
        known = [value for value in values if value is not None]
        means[name] = sum(known) / max(1, len(known))
    return means


def run(
    folder: Path, chosen: Sequence[Stage], *, model_name: str, tasks: int, held_out: int
) -> list[dict[str, object]]:
    """Warm up, then every stage from the end of the one before; continues in folder. Held-out rewards after each.

    Mutates    folder: a run folder a stage, results.json
    """
    checkpoint = open_checkpoint(resolve(model_name))
    prompt = PromptEncoder(tokenizer_of(checkpoint), TEMPLATE)
    model = HybridLM(checkpoint.config, device="meta")
    load_weights(model, checkpoint.tensors("hf"), device="cpu")
    folder.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, object]] = []

    def look(name: str) -> None:
        results.append({"after": name, **held_out_rewards(TorchLM(model), prompt, held_out)})
        print(json.dumps(results[-1]), flush=True)
        (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")

    look("start")
    write_warm_up(folder / "warm_up.jsonl", tasks)
    fine_tune(model, prepare(folder / "warm_up.jsonl", prompt, WARM_UP), WARM_UP, folder=folder / "0-warm-up")
    look("0-warm-up")
    for stage in chosen:
        _run_stage(model, stage, prompt, folder / stage.name, tasks)
        look(stage.name)
    return results


def _run_stage(model: HybridLM, stage: Stage, prompt: PromptEncoder, folder: Path, tasks: int) -> None:
    reference = copy.deepcopy(model).requires_grad_(False)
    optim = OptimSettings(learning_rate=stage.learning_rate, weight_decay=0.0, betas=(0.9, 0.999), use_muon=False)
    drawn = [task for name in stage.shares for task in tasks_of(name, tasks, seed=TRAINING_SEED)]
    grpo(
        model,
        Optimizer.for_model(model, optim),
        WarmupStableDecay(warmup_steps=min(10, stage.steps), stable_steps=max(0, stage.steps - 10), decay_steps=0),
        TaskMixture(drawn, stage.shares, total_steps=stage.steps, seed=stage.settings.seed),
        prompt,
        torch_policy,
        folder=folder,
        settings=stage.settings,
        reference=reference,
        on_step=lambda health: print(f"{stage.name} step {health['step']}: reward {health['reward']}", flush=True),
    )
    plot_health(folder / "health.jsonl", folder / "health.png")


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.posttrain", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs live; they continue from there")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--steps", type=int, default=120, help="of each stage")
    parser.add_argument("--tasks", type=int, default=400, help="to train on, of each environment")
    parser.add_argument("--held-out", type=int, default=50, help="to look at after each stage, of each environment")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    run(arguments.folder, stages(arguments.steps), model_name=arguments.model, tasks=arguments.tasks,
        held_out=arguments.held_out)  # fmt: skip


if __name__ == "__main__":
    main()
