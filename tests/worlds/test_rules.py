"""The rules of single worlds, case by case."""

import pytest

from mambino.worlds.combat import Combat
from mambino.worlds.farm import Farm
from mambino.worlds.game2048 import Game2048, slid
from mambino.worlds.runner import FLAG_AT, JUMPS, Runner


@pytest.mark.parametrize(
    ("line", "after", "points"),
    [
        ([2, 2, 2, 2], [4, 4, 0, 0], 8),
        ([2, 2, 4, 0], [4, 4, 0, 0], 4),
        ([4, 2, 2, 0], [4, 4, 0, 0], 4),
        ([2, 0, 0, 2], [4, 0, 0, 0], 4),
        ([2, 4, 2, 4], [2, 4, 2, 4], 0),
        ([2, 2, 2, 0], [4, 2, 0, 0], 4),
    ],
)
def test_tiles_merge_once_from_the_front(line: list[int], after: list[int], points: int) -> None:
    board = [line, [0] * 4, [0] * 4, [0] * 4]
    assert slid(board, "left") == ([after, [0] * 4, [0] * 4, [0] * 4], points)
    column = [[tile, 0, 0, 0] for tile in line]
    assert slid(column, "up") == ([[tile, 0, 0, 0] for tile in after], points)


def test_right_and_down_are_the_mirror_images() -> None:
    assert slid([[2, 2, 2, 0], [0] * 4, [0] * 4, [0] * 4], "right")[0][0] == [0, 0, 2, 4]
    assert [row[0] for row in slid([[2, 0, 0, 0], [2, 0, 0, 0], [2, 0, 0, 0], [0] * 4], "down")[0]] == [0, 0, 2, 4]


def test_2048_has_oraks_text_and_ends_after_five_idle_moves() -> None:
    game = Game2048()
    seen = game.reset(0)
    assert seen.text.startswith("Board of 2048 Games: \n [")
    assert seen.text.endswith(" \n Score: 0")
    assert sum(tile > 0 for row in game.board for tile in row) == 2
    notes = [game.step("nowhere").is_done for _ in range(5)]
    assert notes == [False, False, False, False, True]


def test_2048_scores_points_over_twenty_thousand() -> None:
    game = Game2048()
    game.reset(0)
    game.board = [[1024, 1024, 0, 0], [0] * 4, [0] * 4, [0] * 4]
    game.points = 7952
    seen = game.step(" Left ")
    assert seen.score == 50.0
    assert seen.is_done


def test_jumps_reach_as_far_as_told() -> None:
    runner = Runner()
    runner.reset(0)
    runner.obstacles = ()
    assert [runner.moved(0, level)[0] for level in range(1, 7)] == [distance for distance, _ in JUMPS[1:]]


def test_a_pit_kills_a_walker_and_a_jump_clears_it() -> None:
    runner = Runner()
    runner.reset(0)
    pit = next(o for o in runner.obstacles if o.kind == "Pit")
    runner.obstacles = (pit,)
    runner.x = pit.start - 16
    assert not runner.moved(runner.x, 6)[1]
    while not runner.is_dead and runner.x < pit.end:
        runner.step("Jump Level: 0")
    assert runner.is_dead
    assert runner.x < FLAG_AT


def test_an_unreadable_jump_repeats_the_last() -> None:
    runner = Runner()
    runner.reset(0)
    runner.obstacles = ()
    runner.step("Explain: a pit.\nJump Level: 3")
    seen = runner.step("Jump Level: nine")
    assert runner.x == 2 * JUMPS[3][0]
    assert not seen.is_legal


def test_a_plant_that_is_not_watered_does_not_grow() -> None:
    farm = Farm()
    farm.reset(0)
    for call in ("get_out_of_house()", "till_soil(num_tiles=2)"):
        farm.step(call)
    farm.step('buy_item(item_name="Parsnip Seeds", item_count=2) plant_seeds()')
    farm.now.plants[0].is_watered = True
    farm.step("go_house_and_sleep()")
    assert [plant.left for plant in farm.now.plants] == [3, 4]


def test_a_farm_cannot_be_worked_beyond_energy_or_gold() -> None:
    farm = Farm()
    farm.reset(0)
    farm.step("get_out_of_house() till_soil(num_tiles=9999)")
    assert (farm.now.tilled, farm.now.energy) == (25, 0)
    assert not farm.step("till_soil(num_tiles=1)").is_legal
    farm.step('buy_item(item_name="Cauliflower Seeds", item_count=9999)')
    assert farm.now.gold == 500 - 6 * 80


def test_only_two_calls_a_turn_count() -> None:
    farm = Farm()
    farm.reset(0)
    farm.step("get_out_of_house() till_soil(num_tiles=1) till_soil(num_tiles=1)")
    assert farm.now.tilled == 1


def test_a_skill_works_only_from_its_ranks() -> None:
    combat = Combat()
    combat.reset(0)
    assert combat.acting.kind == "Knight"
    assert not combat.step("attack target 3 using skill slot 1").is_legal
    combat.reset(0)
    before = combat.enemies[0].hp
    assert combat.step("ATTACK target 1 using skill slot 1").is_legal
    assert combat.enemies[0].hp < before


def test_the_combat_score_counts_fights_then_survivors_and_calm() -> None:
    combat = Combat()
    combat.reset(0)
    combat.cleared = 2
    assert combat._score() == 20.0
    combat.cleared, combat.fallen = 4, 1
    combat.party = combat.party[:3]
    combat.party[0].stress = 80
    assert combat._score() == pytest.approx(40 + 30 * 0.75 + 30 * (1 - 280 / 800))
