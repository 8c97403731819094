"""What every world is: reset with a seed, step with a line of text, see text and a score. Pure and deterministic.

Start at World; NAMES in games.py lists the worlds.
"""

import random
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a player sees.

    text     the state, in words
    actions  lines that may be answered now; a world with free numbers lists examples of each kind
    score    so far, 0 to 100
    note     what the last action did, or why it did nothing; "" at the start
    is_legal whether the last action was understood and allowed
    """

    text: str
    actions: tuple[str, ...]
    score: float
    is_done: bool
    note: str = ""
    is_legal: bool = True


class World(Protocol):
    """rules explain the world to a player; action_regex matches every action that may ever be legal.

    An action that is not legal changes nothing but the number of steps taken, and is said so in the note.
    """

    rules: str
    action_regex: str
    max_steps: int

    def reset(self, seed: int) -> Observation:
        """Begin anew; the same seed gives the same world. Mutates self."""
        ...

    def step(self, action: str) -> Observation:
        """Mutates self. Raises nothing, whatever action is."""
        ...

    def expert_action(self) -> str:
        """What a player who knows the whole world does now."""
        ...


def random_action(observation: Observation, rng: random.Random) -> str:
    return rng.choice(observation.actions)
