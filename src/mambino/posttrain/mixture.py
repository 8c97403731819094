"""Which tasks a step tries: fixed shares of environments, and in each the tasks that are neither solved nor hopeless.

Knows pass rates, no model. Start at TaskMixture.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from mambino.errors import InputError
from mambino.posttrain.rollout import Task

_MEMORY = 0.7  # of a task's pass rate, from one visit to the next
_WIDTH = 0.25  # of the Gaussian over pass rates
_LEAST_WEIGHT = 0.02  # nothing is forgotten for good


class TaskMixture:
    """Draws tasks by environment share; within one, by a Gaussian over pass rates whose centre moves from easy to hard.

    Tasks that were never tried count as at the centre. state and restore carry the pass rates.

    Source     Nemotron 3 Nano's technical report (curriculum); ratios of environments stay fixed in every batch
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        shares: Mapping[str, float],
        *,
        total_steps: int,
        seed: int,
        easy: float = 0.8,
        hard: float = 0.3,
    ) -> None:
        self._by_environment = {name: [task for task in tasks if task.environment == name] for name in sorted(shares)}
        empty = [name for name, found in self._by_environment.items() if not found]
        if empty or not shares or min(shares.values()) <= 0:
            raise InputError(f"[rl] every environment needs a positive share and tasks; without: {empty or shares}")
        self._shares = {name: shares[name] / sum(shares.values()) for name in self._by_environment}
        self._total_steps, self._seed, self._easy, self._hard = total_steps, seed, easy, hard
        self._pass_rates: dict[str, float] = {}

    def draw(self, step: int, count: int, *, attempt: int = 0) -> list[Task]:
        """count distinct tasks where there are so many, environments by share; attempt numbers further draws."""
        rng = np.random.default_rng((self._seed, step, attempt))
        centre = self._easy + (self._hard - self._easy) * min(1.0, step / max(1, self._total_steps))
        chosen: list[Task] = []
        for name, quota in self._quotas(count, rng).items():
            tasks = self._by_environment[name]
            weights = np.array([self._weight(task, centre) for task in tasks])
            places = rng.choice(len(tasks), size=quota, replace=quota > len(tasks), p=weights / weights.sum())
            chosen += [tasks[int(place)] for place in places]
        return chosen

    def note(self, task: Task, mean_reward: float) -> None:
        """Remember how a group went. Mutates self."""
        key = f"{task.environment}/{task.id}"
        old = self._pass_rates.get(key)
        self._pass_rates[key] = mean_reward if old is None else _MEMORY * old + (1 - _MEMORY) * mean_reward

    @property
    def sha256(self) -> str:
        """Of the shares, and of the tasks' ids, messages and tools: what a run is about."""
        tasks = [
            (name, self._shares[name], task.id, [message.to_json() for message in task.messages], task.tools)
            for name, found in self._by_environment.items()
            for task in found
        ]
        return hashlib.sha256(json.dumps(tasks, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def state(self) -> dict[str, float]:
        return dict(self._pass_rates)

    def restore(self, state: Mapping[str, float], /) -> None:
        """Mutates self."""
        self._pass_rates = dict(state)

    def _weight(self, task: Task, centre: float) -> float:
        rate = self._pass_rates.get(f"{task.environment}/{task.id}", centre)
        return max(_LEAST_WEIGHT, math.exp(-0.5 * ((rate - centre) / _WIDTH) ** 2))

    def _quotas(self, count: int, rng: np.random.Generator) -> dict[str, int]:
        """Whole numbers that sum to count: rounded down, the rest by draw, so that shares hold in the long run."""
        exact = {name: share * count for name, share in self._shares.items()}
        quotas = {name: math.floor(number) for name, number in exact.items()}
        left = count - sum(quotas.values())
        if left:
            rests = np.array([exact[name] - quotas[name] for name in exact]) + 1e-9
            for place in rng.choice(len(exact), size=left, replace=False, p=rests / rests.sum()):
                quotas[list(exact)[int(place)]] += 1
        return quotas
