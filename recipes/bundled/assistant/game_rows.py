"""Rows of games: the very prompts of mambino.evals.agents in states along an expert's games, and its next action.

The experts are the worlds' own, but for the dungeon: there the expert may know no more than the player sees. Start at
Games.
"""

import copy
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest
from mambino.evals.agents import Agent, new_agent
from mambino.evals.task import Player, Reply
from mambino.worlds.games import new_world
from mambino.worlds.world import Observation, World
from recipes.bundled.assistant.row import Plays, Row, Split

SHARES = {"game2048": 0.10, "farm": 0.20, "puzzle": 0.13, "dungeon": 0.15, "runner": 0.20, "combat": 0.22}
_FIRST_SEED = {"train": 1_000_000, "held_out": 2_000_000}  # evaluations count from 0
_SEEDS = 1_000_000
_MIN_STEPS, _MAX_STEPS = 30, 200  # of a game; the most as in mambino.evals.tasks.games
_STATES = 16  # kept of a game
_BLUNDERS = 0.12  # of steps are taken at random: the expert shows how to go on from there
_STRICT = 0.15  # of games are asked for the bare action
_THINKS = 0.3
_PLANNED = {"puzzle": 5, "farm": 2}  # actions that the reasoning names in advance
_OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
_EXITS = re.compile(r"Exits: ([a-z, ]+)\.")


@dataclass(slots=True)
class _Told:
    """A responder that says what it is told to, and keeps what it was asked."""

    answer: str = ""
    asked: tuple[Message, ...] = ()
    name: str = "told"
    knows_tools: bool = False

    def respond(self, request: AnswerRequest) -> Reply:
        self.asked = request.messages
        message = Message(role="assistant", content=self.answer)
        return Reply(message=message, finish_reason="stop", prompt_tokens=0, completion_tokens=0, elapsed_s=0.0)


@dataclass(slots=True)
class Games:
    """Plays game after game, and gives their states in random order."""

    _held: dict[str, list[Row]] = field(default_factory=dict)

    def row(self, rng: random.Random, split: Split) -> Row:
        """Mutates self."""
        name = rng.choices(list(SHARES), list(SHARES.values()))[0]
        if not self._held.get(name):
            played = _played(rng, name, _FIRST_SEED[split] + rng.randrange(_SEEDS))
            self._held[name] = rng.sample(played, min(_STATES, len(played)))
        return self._held[name].pop()


def good_actions(name: str, world: World, seen: Observation, last: str) -> Sequence[str]:
    """What the expert may do now: usually one action."""
    exits = _EXITS.search(seen.text) if name == "dungeon" else None
    for action in ("take treasure", "unlock door", "take key"):
        if action in seen.actions:
            return (action,)
    if exits is None:
        return (world.expert_action(),)
    # Who remembers nothing does best to go anywhere but back: any fixed choice walks in circles.
    back = _OPPOSITE.get(last.removeprefix("go "), "")
    ways = exits[1].split(", ")
    return tuple(f"go {way}" for way in ways if way != back or len(ways) == 1)


def _played(rng: random.Random, name: str, seed: int) -> list[Row]:
    """A row for each step of one game."""
    world, told = new_world(name), _Told()
    is_strict = rng.random() < _STRICT
    agent = new_agent("zeroshot", world, Player(responder=told), strict=is_strict)
    seen, rows, last = world.reset(seed), list[Row](), ""
    steps = rng.randint(_MIN_STEPS, _MAX_STEPS)  # all games have a beginning, few models see a late end
    while not seen.is_done and len(rows) < steps:
        best = good_actions(name, world, seen, last)
        action = rng.choice(best)
        content = action if is_strict else f"### Actions\n{action}"
        reasoning = _reasoning(name, world, action) if rng.random() < _THINKS else None
        last = _blunder(rng, world, seen) if rng.random() < _BLUNDERS else action
        _ask(agent, told, seen, last, is_strict)
        answer = Message(role="assistant", content=content, reasoning=reasoning)
        check = Plays(game=name, legal=seen.actions, best=tuple(best))
        rows.append(Row(kind="game", messages=(*told.asked, answer), check=check))
        seen = world.step(last)
    return rows


def _ask(agent: Agent, told: _Told, seen: Observation, action: str, is_strict: bool) -> None:
    """Mutates both: told holds the prompt, agent remembers the action."""
    told.answer = action if is_strict else f"### Actions\n{action}"
    agent.choose(seen)


def _blunder(rng: random.Random, world: World, seen: Observation) -> str:
    """Any action that can be mended: pushed blocks may get stuck."""
    action = rng.choice(seen.actions)
    is_push = copy.deepcopy(world).step(action).note == "pushed a block"
    return world.expert_action() if is_push else action


def _reasoning(name: str, world: World, action: str) -> str:
    ahead, planned = copy.deepcopy(world), [action]
    is_done = ahead.step(action).is_done
    while not is_done and len(planned) < _PLANNED.get(name, 1):
        planned.append(ahead.expert_action())
        is_done = ahead.step(planned[-1]).is_done
    return f"My plan: {', then '.join(planned)}."
