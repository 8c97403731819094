"""Rows of games: the very prompts of mambino.evals.agents in states along a teacher's games, and its next action.

Who is not asked for the bare action first says what it sees, under a header of its own, which the agents skip; so each
word of the answer is a small step from the text, also where thinking is off, as it is in play. Start at Games.
"""

import copy
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest
from mambino.evals.agents import Agent, new_agent
from mambino.evals.task import Player, Reply
from mambino.worlds.games import new_world
from mambino.worlds.world import Observation, World
from recipes.bundled.assistant.game_teachers import Lesson, teach
from recipes.bundled.assistant.row import Plays, Row, Split

SHARES = {"game2048": 0.10, "farm": 0.20, "puzzle": 0.18, "dungeon": 0.15, "runner": 0.20, "combat": 0.17}
_FIRST_SEED = {"train": 1_000_000, "held_out": 2_000_000}  # evaluations count from 0
_SEEDS = 1_000_000
_MIN_STEPS, _MAX_STEPS = 30, 200  # of a game; the most as in mambino.evals.tasks.games
_STATES = 12  # kept of a game
_BLUNDERS = 0.15  # of steps are taken at random: the teacher shows how to go on from there
_STRICT = 0.08  # of games are asked for the bare action
_THINKS = 0.2


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
            self._held[name] = _varied(rng, played)[:_STATES]
            rng.shuffle(self._held[name])
        return self._held[name].pop()


def _varied(rng: random.Random, rows: Iterable[Row]) -> list[Row]:
    """Every kind of answer once in random order, then every one that comes twice, and so on.

    Most steps of a game are all alike, and its decisive ones (what to do with an empty farm) are few.
    """
    shuffled, met, turns = list(rows), Counter[str](), list[tuple[int, int]]()
    rng.shuffle(shuffled)
    for place, row in enumerate(shuffled):
        thoughts, _, action = row.messages[-1].content.rpartition("\n")
        kind = re.sub(r"\d+", "", thoughts) + action
        turns.append((met[kind], place))
        met[kind] += 1
    return [shuffled[place] for _, place in sorted(turns)]


def _played(rng: random.Random, name: str, seed: int) -> list[Row]:
    """A row for each step of one game."""
    world, told = new_world(name), _Told()
    is_strict = rng.random() < _STRICT
    agent = new_agent("zeroshot", world, Player(responder=told), strict=is_strict)
    seen, rows, last = world.reset(seed), list[Row](), ""
    steps = rng.randint(_MIN_STEPS, _MAX_STEPS)  # all games have a beginning, few models see a late end
    while not seen.is_done and len(rows) < steps:
        lesson = teach(name, world, seen, last)
        last = _blunder(rng, world, seen) if rng.random() < _BLUNDERS else lesson.action
        _ask(agent, told, seen, last, is_strict)
        check = Plays(game=name, legal=seen.actions, best=lesson.best)
        answer = _answer(lesson, is_strict=is_strict, thinks=rng.random() < _THINKS)
        rows.append(Row(kind="game", messages=(*told.asked, answer), check=check))
        seen = world.step(last)
    return rows


def _answer(lesson: Lesson, *, is_strict: bool, thinks: bool) -> Message:
    content = lesson.action if is_strict else f"### Actions\n{lesson.action}"
    if thinks:
        return Message(role="assistant", content=content, reasoning=lesson.thoughts or f"My plan: {lesson.action}.")
    if lesson.thoughts and not is_strict:
        content = f"### Thoughts\n{lesson.thoughts}\n{content}"
    return Message(role="assistant", content=content)


def _ask(agent: Agent, told: _Told, seen: Observation, action: str, is_strict: bool) -> None:
    """Mutates both: told holds the prompt, agent remembers the action."""
    told.answer = action if is_strict else f"### Actions\n{action}"
    agent.choose(seen)


def _blunder(rng: random.Random, world: World, seen: Observation) -> str:
    """Any action that can be mended: pushed blocks may get stuck."""
    action = rng.choice(seen.actions)
    is_push = copy.deepcopy(world).step(action).note == "pushed a block"
    return world.expert_action() if is_push else action
