"""The home obeys its rules, says what happened, and is the same for the same seed."""

import random

import pytest

from mambino.worlds.home import Home, Outcome, Timer, new_goal, new_home

HOME = Home(
    clock=7 * 60 + 5,
    lights={"kitchen": 0, "hall": 70},
    temperatures={"kitchen": 16.0, "hall": 24.0},
    locked={"front door": False},
    target=20.0,
)


def test_the_same_seed_gives_the_same_home_and_goal() -> None:
    assert new_home(3) == new_home(3)
    assert len({new_home(seed).describe() for seed in range(20)}) == 20
    assert new_goal(new_home(3), 4) == new_goal(new_home(3), 4)


def test_actions_leave_the_old_home_alone() -> None:
    after = HOME.set_light("kitchen", 50).home
    assert (HOME.lights["kitchen"], after.lights["kitchen"]) == (0, 50)


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (HOME.set_light("living_room", 5), "There is no room 'living_room'; rooms are kitchen, hall."),
        (HOME.set_light("hall", 101), "A light goes from 0 to 100, not 101."),
        (HOME.set_target(4.5), "The thermostat goes from 5 to 30 degrees, not 4.5."),
        (HOME.set_lock("window", True), "There is no door 'window'; doors are front door."),
        (HOME.start_timer("tea", 0), "A timer runs for 1 to 1440 minutes, not 0."),
        (HOME.cancel_timer("tea"), "There is no timer 'tea'; running: none."),
        (HOME.wait(0), "Wait for 1 to 1440 minutes, not 0."),
    ],
)
def test_what_is_impossible_changes_nothing_and_says_why(outcome: Outcome, text: str) -> None:
    assert outcome == Outcome(home=HOME, text=text, is_possible=False)


def test_names_are_understood_as_people_write_them() -> None:
    assert HOME.set_light("The Kitchen", 0).text == "The kitchen light is off."
    assert HOME.set_lock("front_door", False).text == "The front door is already unlocked."


def test_time_warms_rooms_and_rings_timers() -> None:
    home = HOME.start_timer("tea", 4).home.start_timer("eggs", 10).home
    outcome = home.wait(5)
    assert outcome.text == "It is 07:10. Timer 'tea' rang."
    assert outcome.home.timers == (Timer(label="eggs", ends_at=HOME.clock + 10),)
    assert 16.0 < outcome.home.temperatures["kitchen"] < 20.0 < outcome.home.temperatures["hall"] < 24.0
    assert outcome.home.wait(5).home.timers == ()


def test_timers_are_limited_and_replaced_by_label() -> None:
    home = HOME
    for index in range(10):
        home = home.start_timer(str(index), 5).home
    assert not home.start_timer("more", 5).is_possible
    assert home.start_timer("3", 9).home.timers[-1] == Timer(label="3", ends_at=HOME.clock + 9)


@pytest.mark.parametrize("seed", range(12))
def test_a_goal_is_met_by_doing_what_it_says_and_nothing_else(seed: int) -> None:
    home = new_home(seed)
    goal = new_goal(home, seed)
    assert goal.score(home, home) == 0.0
    done = home
    for room, level in goal.lights.items():
        assert f"set the {room} light to {level}" in goal.text
        done = done.set_light(room, level).home
    for door, is_locked in goal.locked.items():
        done = done.set_lock(door, is_locked).home
    if goal.target is not None:
        done = done.set_target(goal.target).home
    if goal.timer is not None:
        done = done.start_timer(goal.timer.label, goal.timer.ends_at - home.clock).home
    assert goal.score(home, done) == 1.0
    other = random.Random(seed).choice([room for room in home.lights if room not in goal.lights])
    spoiled = done.set_light(other, 99).home
    assert goal.score(home, spoiled) < 1.0
