"""Every world: the expert wins it, chance does not, a seed repeats it, and no action breaks it."""

import random
import re

import pytest

from mambino.errors import InputError
from mambino.worlds.games import WORLDS, new_world
from mambino.worlds.world import Observation, World, random_action

NAMES = tuple(WORLDS)
SMALL = tuple(name for name in NAMES if name != "game2048")
# Mean score of random players over many seeds, rounded up: what chance gives.
CHANCE = {"game2048": 10, "runner": 50, "combat": 25, "farm": 10, "puzzle": 50, "dungeon": 60}


def play_expert(world: World, seed: int) -> Observation:
    seen = world.reset(seed)
    while not seen.is_done:
        seen = world.step(world.expert_action())
        assert seen.is_legal, seen.note
    return seen


def play_random(world: World, seed: int) -> list[Observation]:
    rng = random.Random(seed)
    seen = [world.reset(seed)]
    while not seen[-1].is_done:
        seen.append(world.step(random_action(seen[-1], rng)))
    return seen


@pytest.mark.parametrize("name", SMALL)
def test_an_expert_scores_everything(name: str) -> None:
    assert [play_expert(new_world(name), seed).score for seed in range(5)] == [100.0] * 5


@pytest.mark.slow
def test_the_2048_expert_reaches_the_tile() -> None:
    assert play_expert(new_world("game2048"), 0).score > 90


@pytest.mark.parametrize("name", NAMES)
def test_a_random_player_scores_what_chance_gives(name: str) -> None:
    scores = [play_random(new_world(name), seed)[-1].score for seed in range(10)]
    assert 0 < sum(scores) / len(scores) < CHANCE[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_repeats_a_game_and_another_does_not(name: str) -> None:
    world = new_world(name)
    one, same, other = (play_random(world, seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


@pytest.mark.parametrize("name", NAMES)
def test_every_offered_action_matches_the_grammar_and_ends_in_time(name: str) -> None:
    world = new_world(name)
    seen = play_random(world, 3)
    assert len(seen) <= world.max_steps + 1
    for observation in seen:
        assert observation.actions
        assert 0 <= observation.score <= 100
        for action in observation.actions:
            assert re.fullmatch(world.action_regex, action), action


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "action", ["", "dance", "\0" * 50, "x" * 100_000, "9" * 50, "attack target 9 using skill slot 0"]
)
def test_nonsense_is_answered_not_raised(name: str, action: str) -> None:
    world = new_world(name)
    before = world.reset(0)
    after = world.step(action)
    assert not after.is_legal
    assert after.note
    assert len(after.note) < 200
    if name not in ("combat", "runner"):  # there time passes
        assert after.text == before.text


@pytest.mark.parametrize("name", NAMES)
def test_a_game_that_is_over_can_be_stepped(name: str) -> None:
    world = new_world(name)
    last = play_random(world, 0)[-1]
    assert world.step(last.actions[0]).is_done


def test_an_unknown_game_is_refused() -> None:
    with pytest.raises(InputError, match="runner"):
        new_world("chess")
