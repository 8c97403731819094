"""The teachers of games: they play well by the text alone, and every answer they show follows from it."""

import random

import pytest
from recipes.bundled.assistant.game_rows import Games
from recipes.bundled.assistant.game_teachers import Lesson, teach
from recipes.bundled.assistant.row import Plays, Row

from mambino.evals.agents import sections
from mambino.worlds.games import new_world
from mambino.worlds.world import Observation

_FIRST = 1_000_000  # of the seeds to train on


def _shown(text: str, *actions: str, note: str = "") -> Observation:
    return Observation(text=text, actions=actions, score=0.0, is_done=False, note=note)


def _lesson(name: str, seen: Observation, last: str = "") -> Lesson:
    return teach(name, new_world(name), seen, last)


@pytest.mark.parametrize(("name", "episodes", "least"), [("runner", 8, 99.0), ("farm", 2, 90.0), ("dungeon", 30, 85.0)])
def test_a_teacher_that_sees_only_the_text_plays_well(name: str, episodes: int, least: float) -> None:
    total = 0.0
    for seed in range(_FIRST, _FIRST + episodes):
        world, last = new_world(name), ""
        seen = world.reset(seed)
        while not seen.is_done:
            last = teach(name, world, seen, last).action
            seen = world.step(last)
            assert seen.is_legal, (name, last, seen.note)
        total += seen.score
    assert total / episodes >= least


def test_the_dungeon_is_walked_along_the_wall_at_the_left() -> None:
    seen = _shown("You are in the well. Exits: north, west, east. You carry nothing.", "go north", "go west", "go east")
    assert _lesson("dungeon", seen, "go south").thoughts == "east yes."
    found = _lesson("dungeon", seen, "go west")
    assert (found.action, found.thoughts) == ("go west", "south no, west yes.")
    first = _lesson("dungeon", seen)
    assert (first.action, first.thoughts) == ("go west", "north yes, east yes, south no, west yes.")


def test_a_block_in_line_with_a_goal_is_pushed_to_it() -> None:
    board = "######\n#...o#\n#o.B@#\n#B...#\n#...##\n######\nBlocks on goals: 0 of 2"
    found = _lesson("puzzle", _shown(board, "up", "down", "left"), "up")
    assert (found.action, found.thoughts) == ("left", "row o.B@, goal left.")
    assert _lesson("puzzle", _shown(board, "up", "down", "left"), "right").action != "left"  # it would be back


def test_a_runner_leaps_what_is_near_and_hops_toward_what_is_not() -> None:
    text = "Position of the hero: (122, 32)\n- Monsters: None\n- Pit: {}\n- Pipe: (90,32,20)\n- Flag: None"
    levels = {}
    for start in (150, 174, 200, 260):
        pit = f"start at {start}, end at {start + 40}"
        found = _lesson("runner", _shown(text.format(pit)))
        assert found.thoughts == f"hero 122, next Pit {start}."
        levels[start] = found.action
    assert levels == {150: "Jump Level: 6", 174: "Jump Level: 0", 200: "Jump Level: 1", 260: "Jump Level: 6"}


def test_thoughts_come_before_the_action_and_only_where_they_may() -> None:
    games, rng = Games(), random.Random(1)
    thoughtful = [
        row for row in (games.row(rng, "train") for _ in range(60)) if _check(row).game in ("dungeon", "farm")
    ]
    assert thoughtful
    for row in thoughtful:
        answer, is_strict = row.messages[-1], "one action only" in row.messages[-2].content
        found = sections(answer.content)
        assert ("thoughts" in found) == (not is_strict and not row.thinks)
        assert found.get("actions", answer.content) in _check(row).best


def _check(row: Row) -> Plays:
    assert isinstance(row.check, Plays)
    return row.check
