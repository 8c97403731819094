"""The announcement's reinforcement learning at the size of the bundled model: three stages of GRPO on its own world.

Published: the three stages and what joins in each, half of the prompts with thinking on and half off, a KL weight that
rises from stage to stage. Not published, and ours: all numbers. Start at stages (python -m recipes.posttrain --help).
"""

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.evals.statistics import Summary, summarize
from mambino.evals.task import Share
from mambino.formats.checkpoint import open_checkpoint
from mambino.formats.mapped import replacing
from mambino.hub.local import resolve
from mambino.load import tokenizer_of
from mambino.model.hybrid import HybridLM
from mambino.posttrain.grpo import GrpoSettings, grpo
from mambino.posttrain.health import plot_health
from mambino.posttrain.mixture import TaskMixture
from mambino.posttrain.policy import native_policy
from mambino.posttrain.rollout import Attempt, Task, Trajectory, collect
from mambino.scoring.scored import Scored, wrong
from mambino.train.optim import Optimizer, OptimSettings, WarmupStableDecay
from recipes.bundled.assistant.row import Row, Split
from recipes.bundled.assistant.rows import rows
from recipes.bundled.assistant.verdict import judge
from recipes.elastic_baselines import hybrid_named

# environment: the kinds of rows that it is made of
ENVIRONMENTS = {
    "instruction": ("instruction",),
    "turns": ("standing",),
    "structured": ("structured",),
    "tools": ("call", "calls", "status", "no_tool", "missing"),
}
SEED = 31
MAX_TOKENS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of reinforcement: environments with their shares of every batch, and the settings of its steps."""

    name: str
    shares: dict[str, float]
    steps: int
    settings: GrpoSettings
    optim: OptimSettings = field(
        default_factory=lambda: OptimSettings(learning_rate=2e-5, weight_decay=0.0, betas=(0.9, 0.999), use_muon=False)
    )


def stages(steps: int = 60) -> tuple[Stage, ...]:
    """Instruction following; + multi-turn and structured output; + tool use. Earlier skills stay in the batches."""
    shares: tuple[dict[str, float], ...] = (
        {"instruction": 1.0},
        {"instruction": 0.4, "turns": 0.3, "structured": 0.3},
        {"instruction": 0.2, "turns": 0.15, "structured": 0.15, "tools": 0.5},
    )
    names = ("1-instructions", "2-turns-and-structure", "3-tools")
    return tuple(
        Stage(
            name=name, shares=share, steps=steps,
            settings=GrpoSettings(
                prompts=8, group_size=8, max_tokens=MAX_TOKENS, kl_weight=kl_weight, thinking_share=0.5, seed=index
            ),
        )
        for index, (name, share, kl_weight) in enumerate(zip(names, shares, (0.01, 0.02, 0.04), strict=True))
    )  # fmt: skip


class OneAnswer:
    """An environment of a single answer: right by the row's judge, and with thinking as it was asked for."""

    def __init__(self, row: Row) -> None:
        self._row = row

    def reply(self, answer: Message) -> Sequence[Message]:
        return ()

    def score(self, trajectory: Trajectory) -> Scored:
        (answer,) = trajectory.answers
        if bool(answer.reasoning) != bool(trajectory.attempt.is_thinking):
            return wrong("did not obey the thinking switch")
        return judge(self._row, answer)


def tasks_of(environment: str, count: int, *, split: Split) -> list[Task]:
    """Rows whose last answer is the policy's to give. Deterministic; held-out rows have other names and phrasings."""
    drawn = rows(100 * count, seed=SEED, split=split)
    found = islice((row for row in drawn if row.kind in ENVIRONMENTS[environment]), count)
    return [
        Task(id=f"{split}-{index}", environment=environment, messages=row.messages[:-1], tools=tuple(row.tools),
             begin=partial(OneAnswer, row))
        for index, row in enumerate(found)
    ]  # fmt: skip


def held_out_rewards(model: HybridLM, prompt: PromptEncoder, count: int) -> dict[str, Summary]:
    """Reward by environment with its interval, on rows that no stage sees, half of them with thinking."""
    tasks = [task for name in ENVIRONMENTS for task in tasks_of(name, count, split="held_out")]
    attempts = [Attempt(task=task, is_thinking=index % 2 == 0, seed=(9, index)) for index, task in enumerate(tasks)]
    made = collect(native_policy()(model), prompt, attempts, max_tokens=MAX_TOKENS)
    found = {}
    for name in ENVIRONMENTS:
        values = [one.reward.value for one in made if one.attempt.task.environment == name]
        summary = summarize([Share(part=value) for value in values if value is not None])
        assert summary is not None, "the judge has a verdict on every row"
        found[name] = summary
    return found


def run(
    folder: Path, chosen: Sequence[Stage], *, model_name: str, tasks: int, held_out: int
) -> list[dict[str, object]]:
    """reinforce a model by name; see there. Mutates folder."""
    model, tokenizer = hybrid_named(model_name), tokenizer_of(open_checkpoint(resolve(model_name)))
    return reinforce(model, PromptEncoder(tokenizer), folder, chosen, tasks=tasks, held_out=held_out)


def reinforce(
    model: HybridLM, prompt: PromptEncoder, folder: Path, chosen: Sequence[Stage], *, tasks: int, held_out: int
) -> list[dict[str, object]]:
    """Every stage from the end of the one before; continues in folder. Held-out rewards at the start and after each.

    Mutates    model; folder: a run folder a stage, results.json
    """
    folder.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, object]] = []

    def look(name: str) -> None:
        found = held_out_rewards(model, prompt, held_out)
        results.append({"after": name, **{key: asdict(summary) for key, summary in found.items()}})
        shown = {key: f"{summary.value:.3f} ({summary.low:.3f}-{summary.high:.3f})" for key, summary in found.items()}
        print(name, json.dumps(shown), flush=True)
        with replacing(folder / "results.json") as file:
            file.write(json.dumps(results, indent=1).encode() + b"\n")

    look("start")
    for stage in chosen:
        _run_stage(model, stage, prompt, folder / stage.name, tasks)
        look(stage.name)
    return results


def _run_stage(model: HybridLM, stage: Stage, prompt: PromptEncoder, folder: Path, tasks: int) -> None:
    """Mutates model; folder."""
    reference = copy.deepcopy(model).requires_grad_(False)
    drawn = [task for name in stage.shares for task in tasks_of(name, tasks, split="train")]
    grpo(
        model,
        Optimizer.for_model(model, stage.optim),
        WarmupStableDecay(warmup_steps=min(5, stage.steps), stable_steps=max(0, stage.steps - 5), decay_steps=0),
        TaskMixture(drawn, stage.shares, total_steps=stage.steps, seed=stage.settings.seed),
        prompt,
        native_policy(),
        folder=folder,
        settings=stage.settings,
        reference=reference,
        on_step=lambda health: print(
            f"{stage.name} step {health['step']}: reward {health['reward']} in {health['seconds']} s", flush=True
        ),
    )
    plot_health(folder / "health.jsonl", folder / "health.png")


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.posttrain", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs live; they continue from there")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--steps", type=int, default=60, help="of each stage")
    parser.add_argument("--tasks", type=int, default=400, help="to train on, of each environment")
    parser.add_argument("--held-out", type=int, default=100, help="to look at after each stage, of each environment")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    run(arguments.folder, stages(arguments.steps), model_name=arguments.model, tasks=arguments.tasks,
        held_out=arguments.held_out)  # fmt: skip


if __name__ == "__main__":
    main()
