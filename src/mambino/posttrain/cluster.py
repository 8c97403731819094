"""Rollouts by Ray workers, each with a copy of the model: on this machine, or on all of a Ray cluster.

A worker that dies is replaced and its part tried again. Needs the extra `cluster`. Start at RayRollouts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mambino.chat.prompt import PromptEncoder
from mambino.errors import TrainingError, Unsupported
from mambino.lm import LanguageModel
from mambino.model.hybrid import HybridLM
from mambino.posttrain.collecting import Collect, at_home, portable, shares
from mambino.posttrain.rollout import Attempt, Task, Trajectory, collect

_TRIES = 3  # of one part, each by a new worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An attempt without its task, which every worker has itself."""

    environment: str
    task: str
    is_thinking: bool | None
    seed: tuple[int, ...]


class RolloutWorker:
    """What runs in a worker: a model that takes the trainer's weights, and tasks to try with it."""

    def __init__(
        self,
        model: HybridLM,
        policy: Callable[[HybridLM], LanguageModel],
        prompt: PromptEncoder,
        tasks: Sequence[Task],
        *,
        max_tokens: int,
        slots: int,
    ) -> None:
        self._model, self._policy, self._prompt = model, policy, prompt
        self._tasks = {(task.environment, task.id): task for task in tasks}
        self._max_tokens, self._slots = max_tokens, slots
        self._sampler: LanguageModel | None = None

    def refresh(self, weights: Mapping[str, Tensor]) -> None:
        """Take the trainer's weights. Mutates self."""
        self._model.load_state_dict(dict(weights))
        self._sampler = self._policy(self._model)

    def sample(self, asked: Sequence[Asked]) -> list[Trajectory]:
        """Portable trajectories, in order. Only after a refresh."""
        assert self._sampler is not None
        attempts = [
            Attempt(task=self._tasks[one.environment, one.task], is_thinking=one.is_thinking, seed=one.seed)
            for one in asked
        ]
        made = collect(self._sampler, self._prompt, attempts, max_tokens=self._max_tokens, slots=self._slots)
        return [portable(one) for one in made]


class RayRollouts:
    """workers many processes, each made by build (sent to it, so it may hold only what can be pickled).

    address names a running cluster; None starts one on this machine, which close ends.

    Raises     Unsupported without Ray
    """

    def __init__(self, build: Callable[[], RolloutWorker], *, workers: int, address: str | None = None) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise Unsupported("[grpo] --workers needs Ray: pip install 'mambino[cluster]'") from error
        self._ray: Any = ray
        ray.init(address=address, ignore_reinit_error=True, include_dashboard=False, log_to_driver=False)
        self._build = build
        self._workers = [self._new_worker() for _ in range(workers)]
        self._version = 0  # of the weights
        self.replaced = 0  # workers that died

    def refreshed(self, model: HybridLM) -> Collect:
        """Send the trainer's weights to every worker, once; what they then collect is by these."""
        self._version += 1
        version = self._version
        weights = self._ray.put({name: value.detach().cpu() for name, value in model.state_dict().items()})

        def collected(attempts: Sequence[Attempt]) -> list[Trajectory]:
            parts = [[_asked(one) for one in part] for part in shares(attempts, len(self._workers))]
            asked = [(version, weights, part) for part in parts]
            running = [worker.sample.remote(*one) for worker, one in zip(self._workers, asked, strict=True)]
            made = [self._finished(index, running[index], asked[index]) for index in range(len(parts))]
            return at_home([one for part in made for one in part], attempts)

        return collected

    def close(self) -> None:
        """End the workers, and the cluster if it was started here. Mutates self."""
        self._workers = []
        self._ray.shutdown()

    def _new_worker(self) -> Any:
        return self._ray.remote(num_cpus=1)(_Actor).remote(self._build)

    def _finished(self, index: int, running: Any, asked: tuple[object, ...]) -> list[Trajectory]:
        cause = ""
        for _ in range(_TRIES):
            try:
                made: list[Trajectory] = self._ray.get(running)
                return made
            except self._ray.exceptions.RayActorError as error:
                cause = str(error).strip()
                self.replaced += 1
                self._workers[index] = self._new_worker()
                running = self._workers[index].sample.remote(*asked)
        raise TrainingError(
            f"[grpo] {_TRIES} rollout workers died one after another on the same tasks; the last: {cause[-800:]}"
        )


class _Actor:
    """A RolloutWorker in Ray; weights that it has already are not loaded again."""

    def __init__(self, build: Callable[[], RolloutWorker]) -> None:
        self._worker, self._version = build(), 0

    def sample(self, version: int, weights: Mapping[str, Tensor], asked: Sequence[Asked]) -> list[Trajectory]:
        if version != self._version:
            self._worker.refresh(weights)
            self._version = version
        return self._worker.sample(asked)


def _asked(attempt: Attempt) -> Asked:
    task = attempt.task
    return Asked(environment=task.environment, task=task.id, is_thinking=attempt.is_thinking, seed=attempt.seed)
