"""Who tries a step's tasks: this process, the processes of torchrun, or Ray workers on any number of machines.

An attempt's draws come from its own seed, so a trajectory is the same whoever makes it. Start at Collect.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch.distributed

from mambino.chat.messages import Message
from mambino.errors import InputError
from mambino.posttrain.rollout import Attempt, Task, Trajectory
from mambino.scoring.scored import Scored
from mambino.train.ranks import Ranks

# Trajectories of all attempts, in order, by the weights that the trainer had when this was made.
Collect = Callable[[Sequence[Attempt]], list[Trajectory]]


def divided(collect: Collect, ranks: Ranks) -> Collect:
    """Every process of torchrun tries its part of the attempts, and gets the trajectories of all."""
    if ranks.size == 1:
        return collect

    def all_of(attempts: Sequence[Attempt]) -> list[Trajectory]:
        parts: list[list[Trajectory]] = [[] for _ in range(ranks.size)]
        own = [portable(one) for one in collect(shares(attempts, ranks.size)[ranks.rank])]
        torch.distributed.all_gather_object(parts, own)
        return at_home([one for part in parts for one in part], attempts)

    return all_of


def shares(attempts: Sequence[Attempt], count: int) -> list[Sequence[Attempt]]:
    """Runs of attempts, about equally long: those of one prompt mostly stay together, and absorb it once."""
    edges = [round(place) for place in np.linspace(0, len(attempts), count + 1)]
    return [attempts[start:stop] for start, stop in pairwise(edges)]


def portable(trajectory: Trajectory) -> Trajectory:
    """Without its task, which may hold functions that cannot be sent."""
    task = trajectory.attempt.task
    bare = Task(id=task.id, environment=task.environment, messages=(), begin=_Elsewhere)
    return replace(trajectory, attempt=replace(trajectory.attempt, task=bare))


def at_home(trajectories: Sequence[Trajectory], attempts: Sequence[Attempt]) -> list[Trajectory]:
    """With the attempts that they were made for. Raises InputError if they were made for others."""
    for one, attempt in zip(trajectories, attempts, strict=True):
        if (one.attempt.task.id, one.attempt.seed) != (attempt.task.id, attempt.seed):
            raise InputError(f"[grpo] expected a trajectory of task {attempt.task.id}, got {one.attempt.task.id}")
    return [replace(one, attempt=attempt) for one, attempt in zip(trajectories, attempts, strict=True)]


class _Elsewhere:
    """The environment of a task that was tried in another process."""

    def reply(self, answer: Message) -> Sequence[Message]:
        raise NotImplementedError

    def score(self, trajectory: Trajectory) -> Scored:
        raise NotImplementedError
