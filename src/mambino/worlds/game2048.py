"""2048 with Orak's interface: its state text, its actions, its end, its score. Start at Game2048.

Source     krafton-ai/Orak: score min(points / 20000, 1) * 100; five moves in a row that change nothing end the game
"""

import random
from collections.abc import Sequence

from mambino.worlds.world import Observation

SIZE, TARGET = 4, 2048
MOVES = ("up", "down", "left", "right")
FULL_SCORE = 20_000
MAX_IDLE = 5
FOUR_SHARE = 0.1  # of new tiles
Board = list[list[int]]
# Large tiles belong along one snake, which ends in a corner.
_SNAKE = ((15, 14, 13, 12), (8, 9, 10, 11), (7, 6, 5, 4), (0, 1, 2, 3))


class Game2048:
    rules = (
        "2048 on a 4x4 board: each move slides all tiles up, down, left or right, and equal tiles that meet merge into "
        "their sum, which is added to the score. Then a new 2 or 4 appears. Reach the tile 2048. The game ends when "
        "nothing can move, or after five moves in a row that change nothing."
    )
    action_regex = "up|down|left|right"
    max_steps = 1500

    def reset(self, seed: int) -> Observation:
        self._rng = random.Random(seed)
        self.board: Board = [[0] * SIZE for _ in range(SIZE)]
        self.points = self._idle = self._steps = 0
        self._add_tile()
        self._add_tile()
        return self._observe("", is_legal=True)

    def step(self, action: str) -> Observation:
        self._steps += 1
        move = action.strip().lower()
        if move not in MOVES:
            self._idle += 1
            return self._observe(f"{action.strip()[:40]!r} is no move", is_legal=False)
        board, points = slid(self.board, move)
        if board == self.board:
            self._idle += 1
            return self._observe(f"{move} changes nothing", is_legal=False)
        self.board, self._idle = board, 0
        self.points += points
        self._add_tile()
        return self._observe(f"{move}: {points} points", is_legal=True)

    def expert_action(self) -> str:
        """Two moves ahead over likely tiles, by snake order and room: good, not perfect."""
        moves = [(self._worth(board, 1) + points, move) for move, board, points in _options(self.board)]
        return max(moves)[1] if moves else MOVES[0]

    def _worth(self, board: Board, depth: int) -> float:
        empty = [(r, c) for r in range(SIZE) for c in range(SIZE) if not board[r][c]]
        if depth == 0 or not empty:
            return _snake_value(board)
        total = 0.0
        cells = empty[:: max(1, len(empty) // 3)]
        for row, column in cells:
            board[row][column] = 2
            after = [self._worth(moved, depth - 1) + points for _, moved, points in _options(board)]
            total += max(after) if after else -1e9
            board[row][column] = 0
        return total / len(cells)

    def _add_tile(self) -> None:
        empty = [(r, c) for r in range(SIZE) for c in range(SIZE) if not self.board[r][c]]
        row, column = self._rng.choice(empty)
        self.board[row][column] = 4 if self._rng.random() < FOUR_SHARE else 2

    def _observe(self, note: str, *, is_legal: bool) -> Observation:
        rows = " \n ".join(str(row) for row in self.board)
        actions = tuple(move for move, _, _ in _options(self.board))
        has_won = any(tile >= TARGET for row in self.board for tile in row)
        return Observation(
            text=f"Board of 2048 Games: \n {rows} \n Score: {self.points}",
            actions=actions or MOVES,
            score=100.0 * min(self.points / FULL_SCORE, 1.0),
            is_done=has_won or not actions or self._idle >= MAX_IDLE or self._steps >= self.max_steps,
            note=note,
            is_legal=is_legal,
        )


def slid(board: Board, move: str) -> tuple[Board, int]:
    """A new board after sliding, without a new tile, and the points made."""
    is_vertical, is_reversed = move in ("up", "down"), move in ("down", "right")
    lines: Sequence[Sequence[int]] = list(zip(*board, strict=True)) if is_vertical else board
    points = 0
    result: Board = []
    for line in lines:
        merged, made = _merged(line[::-1] if is_reversed else line)
        points += made
        result.append(merged[::-1] if is_reversed else merged)
    return ([list(row) for row in zip(*result, strict=True)] if is_vertical else result), points


def _merged(line: Sequence[int]) -> tuple[list[int], int]:
    """Tiles pushed to the front; each merges at most once, the foremost pair first."""
    tiles, points = [tile for tile in line if tile], 0
    merged: list[int] = []
    index = 0
    while index < len(tiles):
        if index + 1 < len(tiles) and tiles[index] == tiles[index + 1]:
            merged.append(2 * tiles[index])
            points += merged[-1]
            index += 2
        else:
            merged.append(tiles[index])
            index += 1
    return merged + [0] * (SIZE - len(merged)), points


def _options(board: Board) -> list[tuple[str, Board, int]]:
    """Moves that change the board, what it becomes, and the points made."""
    found = [(move, *slid(board, move)) for move in MOVES]
    return [(move, after, points) for move, after, points in found if after != board]


def _snake_value(board: Board) -> float:
    empty = sum(not tile for row in board for tile in row)
    order = sum(
        tile * 2.0 ** (weight - 12)
        for row, weights in zip(board, _SNAKE, strict=True)
        for tile, weight in zip(row, weights, strict=True)
    )
    return order + 12.0 * empty
