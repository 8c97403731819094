"""The games by name. Start at WORLDS.

2048 is Orak's; the others are surrogates with Orak's text, actions and scoring, whose scores compare with nothing else.
"""

from collections.abc import Callable, Mapping

from mambino.errors import InputError
from mambino.worlds.combat import Combat
from mambino.worlds.dungeon import Dungeon
from mambino.worlds.farm import Farm
from mambino.worlds.game2048 import Game2048
from mambino.worlds.puzzle import Puzzle
from mambino.worlds.runner import Runner
from mambino.worlds.world import World

WORLDS: Mapping[str, Callable[[], World]] = {
    "game2048": Game2048,
    "runner": Runner,
    "combat": Combat,
    "farm": Farm,
    "puzzle": Puzzle,
    "dungeon": Dungeon,
}

ABOUT: Mapping[str, str] = {
    "game2048": "slide and merge tiles to 2048",
    "runner": "run right, jump over pits, pipes and monsters",
    "combat": "four heroes, four fights, ranks and skills",
    "farm": "thirteen days of planting, watering and selling",
    "puzzle": "push blocks onto goals",
    "dungeon": "explore, find the key, take the treasure",
}


def new_world(name: str) -> World:
    """Raises InputError for an unknown name."""
    if name not in WORLDS:
        raise InputError(f"[worlds] there is no game {name!r}; there are {', '.join(WORLDS)}")
    return WORLDS[name]()
