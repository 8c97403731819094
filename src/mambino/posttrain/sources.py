"""Where a run's tasks come from: files of rows, a user's own verifier, worlds. A value that travels to other processes.

Start at TaskSource.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mambino.chat.gym_rows import GymPrompt, gym_prompt
from mambino.chat.messages import Message, message_from_json
from mambino.errors import InputError
from mambino.posttrain.rewards import Judge, Reward, Row, game_tasks, gym_tasks, home_tasks
from mambino.posttrain.rollout import Task, Trajectory
from mambino.posttrain.rows import text_lines
from mambino.scoring.limited import limited
from mambino.scoring.scored import Scored, unscored
from mambino.worlds.games import WORLDS

HOME = "home"
WORLD_NAMES = (HOME, *WORLDS)
_FIRST_SEED = 1_000_000  # of the worlds to learn in: suites measure in those from 0 on


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSource:
    """files hold rows of NeMo-Gym, or anyone's rows if verifier names a Python file with verify(row, answer).

    worlds are names of WORLD_NAMES, each with episodes tasks.
    """

    files: tuple[Path, ...] = ()
    verifier: Path | None = None
    worlds: tuple[str, ...] = ()
    episodes: int = 64

    def tasks(self) -> list[Task]:
        """All of them, the same in every process. Raises InputError for a file, row, verifier or name that is wrong."""
        if self.verifier is not None:
            _require_sound(self.verifier)
        read = gym_tasks if self.verifier is None else partial(verified_tasks, verifier=self.verifier)
        seeds = range(_FIRST_SEED, _FIRST_SEED + self.episodes)
        tasks = [task for path in self.files for task in read(path)]
        for name in self.worlds:
            if name not in WORLD_NAMES:
                raise InputError(f"[rl] there is no world {name!r}; there are {', '.join(WORLD_NAMES)}")
            tasks += home_tasks(seeds) if name == HOME else game_tasks(name, seeds)
        return tasks


def _require_sound(verifier: Path) -> None:
    """Raises InputError for a file that cannot be run, or has no verify."""
    if reason := limited("load", {"path": str(verifier)}).reason:
        raise InputError(f"[verifier] {verifier}: {reason}")


def verified_tasks(path: Path, *, verifier: Path) -> list[Task]:
    """Rows {"messages": [...]} or {"prompt": "..."} with whatever else verify(row, answer) wants; or NeMo-Gym's.

    verify runs in a process of its own, for a limited time (scoring.limited).

    Raises     InputError that names the first line that asks nothing
    """
    tasks = []
    for line, text in text_lines(path):
        try:
            row = json.loads(text)
            asked = _asked(f"{path.stem}-{line}", row)
        except ValueError as error:  # not JSON, or refused by name
            raise InputError(f"[rl] {path} line {line}: {error}") from error
        tasks.append(
            Task(
                id=f"{path.stem}-{line}", environment=verifier.stem, messages=asked.messages, tools=asked.tools,
                begin=partial(Judge, _verified(verifier, row)),
            )
        )  # fmt: skip
    return tasks


def _asked(name: str, row: object) -> GymPrompt:
    if not isinstance(row, Mapping):
        raise InputError("expected an object")
    match row:
        case {"messages": list() as messages}:
            found = tuple(message_from_json(one, where=f"messages[{index}]") for index, one in enumerate(messages))
            return GymPrompt(messages=found, tools=tuple(tool.get("function", tool) for tool in row.get("tools") or ()))
        case {"prompt": str() as prompt}:
            return GymPrompt(messages=(Message(role="user", content=prompt),), tools=())
    return gym_prompt(name, row)


def _verified(verifier: Path, row: Row) -> Reward:
    def reward(trajectory: Trajectory) -> Scored:
        outcome = limited("file", {"path": str(verifier), "row": row, "answer": trajectory.text})
        return Scored(**outcome.result) if isinstance(outcome.result, dict) else unscored(outcome.reason)

    return reward
