"""A side-scroller surrogate: run right, jump over pits, pipes and monsters, with Orak's Mario text and jump levels.

Its scores are its own and not comparable with Orak's. Start at Runner. Units are pixels; y is the height of the feet.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from mambino.worlds.world import Observation

GROUND = 32
FLAG_AT = 1600
SCREEN_X = 122
STRIDE = 8  # pixels a step on the ground
HERO_WIDTH = 15
# Jump level -> (distance, height) on flat ground, as Orak tells its players; 0 only walks.
JUMPS = ((0, 0), (42, 35), (56, 46), (63, 53), (70, 60), (77, 65), (84, 68))
MONSTER_HEIGHT, MONSTER_WIDTH = 16, 16
_ACTION = re.compile(r"Jump Level\s*:\s*(\d)(?!\d)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """height 0 is a pit; a monster is an obstacle that kills from the side, too."""

    kind: str
    start: int
    end: int
    height: int


class Runner:
    rules = (
        "A side-scroller. The hero runs right all the time; each step you choose how high to jump, 0 (no jump) to 6. "
        "On flat ground the jump levels reach (distance, height) in pixels: 1 (42, 35), 2 (56, 46), 3 (63, 53), "
        "4 (70, 60), 5 (77, 65), 6 (84, 68). Falling into a pit or touching a monster from the side ends the run; a "
        "pipe that is too high stops a jump. x grows to the right, y upwards; the ground is at y 32. Reach the flag."
    )
    action_regex = r"Jump Level: [0-6]"
    max_steps = 100

    def reset(self, seed: int) -> Observation:
        self.obstacles = _level(random.Random(seed))
        self.x, self._steps, self._level, self.is_dead = 0, 0, 0, False
        self._plan: dict[int, int] = {}
        return self._observe("", is_legal=True)

    def step(self, action: str) -> Observation:
        """An action that cannot be read repeats the last jump level, as in Orak."""
        self._steps += 1
        found = _ACTION.search(action) or re.fullmatch(r"\s*(\d)\s*", action)
        is_legal = found is not None and int(found[1]) < len(JUMPS)
        if found is not None and is_legal:
            self._level = int(found[1])
        before = self.x
        if not self.is_dead:
            self.x, self.is_dead = self.moved(self.x, self._level)
        note = f"jump level {self._level}: moved {self.x - before}" + (", and died" if self.is_dead else "")
        return self._observe(note, is_legal=is_legal)

    def expert_action(self) -> str:
        """The next step of a way to the flag."""
        if self.x not in self._plan:
            self._plan = self._way()
        return f"Jump Level: {self._plan.get(self.x, 0)}"

    def _way(self) -> dict[int, int]:
        """Jump level by x, along a way from here to the flag; the farthest place known is tried first."""
        came: dict[int, tuple[int, int] | None] = {self.x: None}
        heap = [-self.x]
        while heap:
            x = -heappop(heap)
            if x >= FLAG_AT:
                plan = {}
                while (step := came[x]) is not None:
                    x, level = step
                    plan[x] = level
                return plan
            for level in range(len(JUMPS)):
                after, is_dead = self.moved(x, level)
                if not is_dead and after not in came:
                    came[after] = (x, level)
                    heappush(heap, -after)
        return {}

    def moved(self, x: int, level: int) -> tuple[int, bool]:
        """Where a step from x ends, and whether the hero dies there. A walk is one stride, a jump an arc."""
        distance, height = JUMPS[level]
        near = [o for o in self.obstacles if o.start < x + distance + 2 * STRIDE + HERO_WIDTH and o.end > x]
        if level == 0:
            hit = _hit(near, x + STRIDE, 0)
            return (x, hit.kind == "Monster") if hit is not None else _landed(near, x + STRIDE)
        top = x
        for offset in range(STRIDE, distance + STRIDE, STRIDE):
            at = x + min(offset, distance)
            feet = _arc(min(offset, distance) / distance) * height
            hit = _hit(near, at, feet)
            if hit is not None:
                return top, hit.kind == "Monster"  # a pipe stops the jump, and the hero drops beside it
            top = at
        return _landed(near, top)

    def _observe(self, note: str, *, is_legal: bool) -> Observation:
        shift = self.x - min(self.x, SCREEN_X)
        near = [o for o in self.obstacles if o.end > self.x - 20 and o.start < self.x + 200]

        def listed(kind: str) -> str:
            found = [o for o in near if o.kind == kind]
            if kind == "Pit":
                return ", ".join(f"start at {o.start - shift}, end at {o.end - shift}" for o in found) or "None"
            if kind == "Pipe":
                return ", ".join(f"({o.start - shift},{GROUND},{o.height})" for o in found) or "None"
            return ", ".join(f"({o.start - shift},{GROUND + o.height})" for o in found) or "None"

        flag = f"({FLAG_AT - shift},{GROUND})" if self.x + 200 > FLAG_AT else "None"
        lines = [
            f"Position of the hero: ({self.x - shift}, {GROUND})",
            "Positions of all objects",
            f"- Monsters: {listed('Monster')}",
            f"- Pit: {listed('Pit')}",
            f"- Pipe: {listed('Pipe')}",
            f"- Flag: {flag}",
            "(x of left edges; a pipe is x, y, height)",
        ]
        return Observation(
            text="\n".join(lines),
            actions=tuple(f"Jump Level: {level}" for level in range(len(JUMPS))),
            score=100.0 * min(1.0, self.x / FLAG_AT),
            is_done=self.is_dead or self.x >= FLAG_AT or self._steps >= self.max_steps,
            note=note,
            is_legal=is_legal,
        )


def _hit(near: Sequence[Obstacle], x: int, feet: float) -> Obstacle | None:
    overlapping = (o for o in near if x + HERO_WIDTH > o.start and x < o.end)
    return next((obstacle for obstacle in overlapping if obstacle.height > feet), None)


def _landed(near: Sequence[Obstacle], x: int) -> tuple[int, bool]:
    return x, any(o.height == 0 and o.start < x + HERO_WIDTH / 2 < o.end for o in near)


def _arc(part: float) -> float:
    """Height over the way, 0 to 1 and back: fast up, held, fast down."""
    return 1.0 - (2.0 * part - 1.0) ** 4


def _level(rng: random.Random) -> tuple[Obstacle, ...]:
    """Obstacles far enough apart to land between, each passable by some jump from some place before it."""
    obstacles, x = [], 100 + 4 * rng.randrange(10)
    while x < FLAG_AT - 150:
        kind = rng.choice(("Pit", "Pipe", "Monster"))
        width = {"Pit": rng.choice((24, 32, 40)), "Pipe": 30, "Monster": MONSTER_WIDTH}[kind]
        height = {"Pit": 0, "Pipe": rng.choice((20, 28, 36)), "Monster": MONSTER_HEIGHT}[kind]
        obstacles.append(Obstacle(kind, x, x + width, height))
        x += width + 96 + 8 * rng.randrange(10)
    return tuple(obstacles)
