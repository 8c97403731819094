"""GRPO on a toy world whose tasks hold what cannot be sent; what each process of torchrun does in test_collecting.

torchrun --nproc-per-node 2 grpo_run.py FOLDER
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.model.hybrid import HybridLM
from mambino.posttrain.cluster import RolloutWorker
from mambino.posttrain.grpo import GrpoSettings, Rollouts, grpo
from mambino.posttrain.mixture import TaskMixture
from mambino.posttrain.policy import torch_policy
from mambino.posttrain.rewards import Judge
from mambino.posttrain.rollout import Task, Trajectory
from mambino.scoring.scored import Scored
from mambino.train.optim import Optimizer, OptimSettings, WarmupStableDecay
from mambino.train.ranks import Ranks
from tiny_chat import tiny_chat_config, tiny_tokenizer

STEPS = 3
SETTINGS = GrpoSettings(
    prompts=4, group_size=6, max_tokens=3, mask_overlong=False, thinking_share=None, tries=1, row_tokens=64,
    save_every_steps=2,
)  # fmt: skip


def tasks() -> list[Task]:
    def odd(trajectory: Trajectory) -> Scored:
        return Scored(value=float((trajectory.tokens[trajectory.is_sampled] % 2 == 1).mean()))

    def begin() -> Judge:
        return Judge(odd)

    asked: Sequence[str] = ("odd?", "well?", "now?", "then?", "so?")
    return [
        Task(id=text, environment="odd", messages=(Message(role="user", content=text),), begin=begin) for text in asked
    ]


def fresh_model() -> HybridLM:
    return HybridLM(tiny_chat_config(tiny_tokenizer()), generator=torch.Generator().manual_seed(1))


def worker() -> RolloutWorker:
    return RolloutWorker(
        fresh_model(), torch_policy, PromptEncoder(tiny_tokenizer()), tasks(), max_tokens=SETTINGS.max_tokens,
        slots=SETTINGS.slots,
    )  # fmt: skip


def run(folder: Path, *, rollouts: Rollouts | None = None, steps: int = STEPS) -> HybridLM:
    torch.set_num_threads(1)
    ranks, model = Ranks.from_environment(), fresh_model()
    optim = OptimSettings(learning_rate=1e-2, use_muon=False, weight_decay=0.0)
    grpo(
        model, Optimizer.for_model(model, optim),
        WarmupStableDecay(warmup_steps=1, stable_steps=steps - 1, decay_steps=0),
        TaskMixture(tasks(), {"odd": 1.0}, total_steps=STEPS, seed=3), PromptEncoder(tiny_tokenizer()), torch_policy,
        folder=folder, settings=SETTINGS, rollouts=rollouts, ranks=ranks,
    )  # fmt: skip
    return model


if __name__ == "__main__":
    run(Path(sys.argv[1]), steps=int(sys.argv[2]))
