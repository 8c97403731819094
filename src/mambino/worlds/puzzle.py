"""A block-pushing puzzle: push every block onto a goal, on boards that are solvable by construction. Start at Puzzle.

Scores milestones as Orak's Baba Is You does (100, 40, 20), but is a game of its own.
"""

import random
from collections import deque
from functools import cached_property

from mambino.worlds.world import Observation

SIZE, BLOCKS = 6, 2
DIRECTIONS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
Cell = tuple[int, int]
State = tuple[Cell, frozenset[Cell]]  # the player, the blocks
_PULLS = 60
_LEAST_MOVES = 8  # of a solution


class Puzzle:
    rules = (
        "A board of cells: # wall, . floor, @ you, B block, o goal, * block on a goal, + you on a goal. Each step you "
        "move up, down, left or right; walking into a block pushes it one cell if the cell behind it is free. Blocks "
        "cannot be pulled. Bring every block onto a goal."
    )
    action_regex = "up|down|left|right"
    max_steps = 60

    def reset(self, seed: int) -> Observation:
        rng = random.Random(seed)
        while True:
            self._make(rng)
            self.__dict__.pop("_solution", None)
            if len(self._solution) >= _LEAST_MOVES and not self.blocks & self.goals:
                break
        self._steps = 0
        self._has_pushed = self._has_reached = False
        return self._observe("", is_legal=True)

    def _make(self, rng: random.Random) -> None:
        """Blocks on goals, pulled away by a random walk: the way back solves it."""
        cells = [(row, column) for row in range(1, SIZE - 1) for column in range(1, SIZE - 1)]
        self.walls = frozenset(rng.sample(cells, 2)) | frozenset(
            (r, c) for r in range(SIZE) for c in range(SIZE) if r in (0, SIZE - 1) or c in (0, SIZE - 1)
        )
        free = [cell for cell in cells if cell not in self.walls]
        *goals, self.player = rng.sample(free, BLOCKS + 1)
        self.goals = self.blocks = frozenset(goals)
        for _ in range(_PULLS):
            move = rng.choice(list(DIRECTIONS.values()))
            behind, ahead = _plus(self.player, move), _minus(self.player, move)
            if behind in self.walls or behind in self.blocks:
                continue
            if ahead in self.blocks and rng.random() < 0.7:
                self.blocks = (self.blocks - {ahead}) | {self.player}
            self.player = behind

    def step(self, action: str) -> Observation:
        self._steps += 1
        move = action.strip().lower()
        after = self._moved((self.player, self.blocks), move) if move in DIRECTIONS else None
        if after is None:
            note = "something is in the way" if move in DIRECTIONS else f"{action.strip()[:40]!r} is no move"
            return self._observe(note, is_legal=False)
        pushed = after[1] != self.blocks
        self.player, self.blocks = after
        self.__dict__.pop("_solution", None)
        self._has_pushed |= pushed
        self._has_reached |= bool(self.blocks & self.goals)
        return self._observe("pushed a block" if pushed else "moved", is_legal=True)

    def expert_action(self) -> str:
        """The first move of a shortest solution; any move if there is none left."""
        return self._solution[0] if self._solution else "up"

    @cached_property
    def _solution(self) -> tuple[str, ...]:
        start: State = (self.player, self.blocks)
        came: dict[State, tuple[State, str] | None] = {start: None}
        queue = deque([start])
        while queue:
            state = queue.popleft()
            if state[1] == self.goals:
                return _path(came, state)
            for name in DIRECTIONS:
                after = self._moved(state, name)
                if after is not None and after not in came:
                    came[after] = (state, name)
                    queue.append(after)
        return ()

    def _moved(self, state: State, move: str) -> State | None:
        player, blocks = state
        target = _plus(player, DIRECTIONS[move])
        if target in self.walls:
            return None
        if target not in blocks:
            return target, blocks
        behind = _plus(target, DIRECTIONS[move])
        if behind in self.walls or behind in blocks:
            return None
        return target, (blocks - {target}) | {behind}

    def _observe(self, note: str, *, is_legal: bool) -> Observation:
        is_solved = self.blocks == self.goals
        rows = "\n".join("".join(self._symbol((r, c)) for c in range(SIZE)) for r in range(SIZE))
        legal = tuple(name for name in DIRECTIONS if self._moved((self.player, self.blocks), name) is not None)
        return Observation(
            text=f"{rows}\nBlocks on goals: {len(self.blocks & self.goals)} of {BLOCKS}",
            actions=legal or tuple(DIRECTIONS),
            score=100.0 if is_solved else 40.0 if self._has_reached else 20.0 if self._has_pushed else 0.0,
            is_done=is_solved or self._steps >= self.max_steps,
            note=note,
            is_legal=is_legal,
        )

    def _symbol(self, cell: Cell) -> str:
        if cell in self.walls:
            return "#"
        on_goal = cell in self.goals
        if cell in self.blocks:
            return "*" if on_goal else "B"
        if cell == self.player:
            return "+" if on_goal else "@"
        return "o" if on_goal else "."


def _plus(cell: Cell, move: Cell) -> Cell:
    return cell[0] + move[0], cell[1] + move[1]


def _minus(cell: Cell, move: Cell) -> Cell:
    return cell[0] - move[0], cell[1] - move[1]


def _path(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    moves = []
    while (step := came[state]) is not None:
        state, name = step
        moves.append(name)
    return tuple(reversed(moves))
