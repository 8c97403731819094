"""Players to learn games from, who know no more than the text shows: a few questions to it, each answered, then a move.

A model of a few million parameters cannot search as the worlds' experts do, but can copy such answers one by one.
Scores over seeds of training: runner 100, farm 96, dungeon 93 (chance 78), puzzle 43 (chance 34). Start at teach.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mambino.worlds.world import Observation, World

_ITEMS = ("take treasure", "unlock door", "take key")
_CLOCKWISE: Mapping[str, Sequence[str]] = {
    "dungeon": ("north", "east", "south", "west"),
    "puzzle": ("up", "right", "down", "left"),
}
_STRAIGHT, _RIGHT, _BACK, _LEFT = range(4)  # quarter turns
_PUZZLE_ORDER, _PUZZLE_ORDER_PUSHED = (_STRAIGHT, _LEFT, _RIGHT, _BACK), (_RIGHT, _LEFT, _STRAIGHT, _BACK)
_YOU = re.compile("[@+]")
_IN_LINE = {"left": re.compile(r"o[.o]*B[.o]*[@+]"), "right": re.compile(r"[@+][.o]*B[.o]*o")}
_EXITS = re.compile(r"Exits: ([a-z, ]+)\.")
_HERO = re.compile(r"hero: \((\d+)")
_PLACES = re.compile(r"- (Monster|Pit|Pipe)s?: (.*)")
_PLACE = re.compile(r"start at (-?\d+)|\((-?\d+),")
_LEAP, _HOP, _WALK = 6, 1, 0  # jump levels
_LOTS = 5  # tiles or seeds at a time, as the prompt's own example has it
_ENERGY = 20  # till, plant and water so many


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """thoughts are "" where the teacher shows none; best are all actions that are as good."""

    action: str
    thoughts: str = ""
    best: tuple[str, ...]


def teach(name: str, world: World, seen: Observation, last: str) -> Lesson:
    """What to do now; last is the action before, which the prompt shows."""
    if name not in _TEACHERS:
        action = world.expert_action()
        return Lesson(action=action, best=(action,))
    action, thoughts = _TEACHERS[name](seen, last)
    best = ways_on(seen, last) if name == "dungeon" else (action,)
    return Lesson(action=action, thoughts=thoughts, best=best)


def ways_on(seen: Observation, last: str) -> tuple[str, ...]:
    """In the dungeon, who cannot remember does best to use what lies here, or to go anywhere but back."""
    found = next((action for action in _ITEMS if action in seen.actions), None)
    if found is not None:
        return (found,)
    exits, back = _exits(seen), _turned("dungeon", last.removeprefix("go "), _BACK)
    return tuple(f"go {way}" for way in exits if way != back or len(exits) == 1)


def _dungeon(seen: Observation, last: str) -> tuple[str, str]:
    """Along the wall at the left hand: it leads round the whole maze. Who has no wall there yet looks for one."""
    found = next((action for action in _ITEMS if action in seen.actions), None)
    if found is not None:
        return found, f"{found} yes."
    exits, heading = _exits(seen), last.removeprefix("go ")
    if heading in _CLOCKWISE["dungeon"]:
        looked = [_turned("dungeon", heading, turn) for turn in (_LEFT, _STRAIGHT, _RIGHT, _BACK)]
        way, thoughts = _first(looked, exits)
        return f"go {way}", thoughts
    around = [*_CLOCKWISE["dungeon"], "north"]
    end = next((i for i in range(1, 5) if around[i] in exits and around[i - 1] not in exits), 3)
    return f"go {around[end]}", _answers((way, way in exits) for way in around[: end + 1])


def _puzzle(seen: Observation, last: str) -> tuple[str, str]:
    """To a goal, with a block that is in line with it and you; else straight on until something is in the way.

    That pushes blocks, and another way after a push gets behind one. Lines are rows: columns are hard to read in text.
    """
    row = next((line for line in seen.text.split("\n") if _YOU.search(line)), "").strip("#")
    back = _turned("puzzle", last, _BACK)
    goal = next((way for way, line in _IN_LINE.items() if line.search(row) and way in seen.actions and way != back), "")
    if goal:
        return goal, f"row {row}, goal {goal}."
    order = _PUZZLE_ORDER_PUSHED if seen.note == "pushed a block" else _PUZZLE_ORDER
    is_moving = last in _CLOCKWISE["puzzle"]
    looked = [_turned("puzzle", last, turn) for turn in order] if is_moving else _CLOCKWISE["puzzle"]
    way, thoughts = _first(looked, seen.actions)
    return way, f"row {row}, goal no, {thoughts}"


def _runner(seen: Observation, last: str) -> tuple[str, str]:
    """Leap when the next obstacle is so near that a leap ends behind it, or so far that it ends before."""
    found = _HERO.search(seen.text)
    hero = int(found[1]) if found else 0
    ahead = [
        (int(place[1] or place[2]), listed[1])
        for listed in _PLACES.finditer(seen.text)
        for place in _PLACE.finditer(listed[2])
        if int(place[1] or place[2]) > hero
    ]
    if not ahead:
        return f"Jump Level: {_LEAP}", f"hero {hero}, next none."
    start, kind = min(ahead)
    gap = start - hero
    level = _LEAP if gap < 48 or gap >= 108 else _WALK if gap < 58 else _HOP
    return f"Jump Level: {level}", f"hero {hero}, next {kind} {start}."


def _farm(seen: Observation, last: str) -> tuple[str, str]:
    """Potatoes, five at a time, as long as there is energy to water them today."""
    asked = list[tuple[str, bool | int]]()
    action = _farm_action(seen.text, asked)
    return action, _answers(asked)


def _farm_action(text: str, asked: list[tuple[str, bool | int]]) -> str:
    """Mutates asked: what was looked at on the way to the decision."""

    def is_so(name: str, pattern: str) -> bool:
        asked.append((name, bool(re.search(pattern, text))))
        return bool(asked[-1][1])

    def number(name: str, pattern: str) -> int:
        found = re.search(pattern, text)
        asked.append((name, int(found[1]) if found else 0))
        return int(asked[-1][1])

    if is_so("home", "farmhouse"):
        return "get_out_of_house()"
    if is_so("ripe", ": ripe"):
        return "harvest_crops() sell_item()"
    if is_so("sale", r"Toolbar:.*(Parsnip|Bean|Cauliflower|Potato) x"):
        return "sell_item()"
    energy = number("energy", r"Energy: (\d+)")
    if is_so("dry", r"to harvest\n") and energy:
        return "water_seeds()"
    if is_so("seeds", r"Toolbar:.*(Seeds|Starter) x"):
        if is_so("tilled", r"tiles: [1-9]"):
            return "plant_seeds() water_seeds()"
        return f"till_soil(num_tiles={_LOTS})" if energy >= _ENERGY else "go_house_and_sleep()"
    gold = number("gold", r"Gold: (\d+)")
    days = number("days", r"(\d+) days remaining")
    if energy >= _ENERGY and gold >= 50 and days >= 6:
        return f'buy_item(item_name="Potato Seeds", item_count={_LOTS})'
    if energy >= _ENERGY and gold >= 20 and days in (4, 5):
        return f'buy_item(item_name="Parsnip Seeds", item_count={_LOTS})'
    return "go_house_and_sleep()"


def _exits(seen: Observation) -> Sequence[str]:
    found = _EXITS.search(seen.text)
    return found[1].split(", ") if found else ()


def _turned(name: str, heading: str, quarters: int) -> str:
    """ "" where heading is none."""
    ways = _CLOCKWISE[name]
    return ways[(ways.index(heading) + quarters) % 4] if heading in ways else ""


def _first(looked: Sequence[str], open_ways: Sequence[str]) -> tuple[str, str]:
    """The first of looked that is open, and the thoughts that lead there."""
    place = next((i for i, way in enumerate(looked) if way in open_ways), 0)
    return looked[place], _answers((way, way in open_ways) for way in looked[: place + 1])


def _answers(asked: Iterable[tuple[str, bool | int]]) -> str:
    shown = (f"{name} {('no', 'yes')[value] if isinstance(value, bool) else value}" for name, value in asked)
    return f"{', '.join(shown)}."


_TEACHERS: Mapping[str, Callable[[Observation, str], tuple[str, str]]] = {
    "dungeon": _dungeon,
    "puzzle": _puzzle,
    "runner": _runner,
    "farm": _farm,
}
