"""How far ahead to guess: the draft length that measured time and measured luck make worthwhile, or none.

Knows seconds and counts, no model. Start at Pace.length. Drafting is paid from a budget: what it may lose against plain
decoding is bounded by a small share of the time spent so far.
"""

from collections import defaultdict

_LENGTHS = (1, 2, 3, 5, 7, 11, 15)
_ALLOWED_LOSS = 0.015  # of the time of plain steps
_FIRST_LOSS = 1.0  # steps that may be lost before any were won
_SMOOTHING = 0.3
_ROW_GUESS = 0.15  # cost of one more row in steps, until it was measured
_MEMORY = 0.9  # of luck, a round


class Pace:
    """Measured costs and luck of one model and one kind of text. Every method but length mutates self."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}  # of a pass, by its rows; 1 is a plain step
        self._right: defaultdict[int, float] = defaultdict(
            lambda: 2.0
        )  # drafted tokens that came true, by match length
        self._wrong: defaultdict[int, float] = defaultdict(lambda: 1.0)
        self._balance = 0.0  # seconds won (or lost) against plain decoding
        self._plain = 0.0  # seconds of plain steps, or what rounds would have taken as such

    def step(self, seconds: float) -> None:
        """A plain step took seconds."""
        self._measure(1, seconds)
        self._plain += seconds

    def round(self, match: int, drafted: int, accepted: int, rows: int, seconds: float) -> None:
        """A pass over rows verified drafted tokens that a match of this length gave; accepted of them came true."""
        self._measure(rows, seconds)
        self._right[match] = _MEMORY * self._right[match] + accepted
        self._wrong[match] = _MEMORY * self._wrong[match] + (accepted < drafted)
        plain = (accepted + 1) * self._seconds[1]
        self._plain += plain
        self._balance = min(self._balance + plain - seconds, _FIRST_LOSS * self._seconds[1])

    def length(self, match: int, most: int) -> int:
        """The best number of tokens to draft after a match of this length; 0 to decode plainly."""
        step = self._seconds.get(1)
        if step is None or match == 0:
            return 0
        affordable = self._balance + _FIRST_LOSS * step + _ALLOWED_LOSS * self._plain
        best, best_rate = 0, 1.0 / step
        for length in _LENGTHS:
            seconds = self._cost(length + 1)
            rate = self._expected(match, length) / seconds
            if length <= most and rate > best_rate and seconds - step <= affordable:
                best, best_rate = length, rate
        return best

    def _measure(self, rows: int, seconds: float) -> None:
        before = self._seconds.get(rows, seconds)
        self._seconds[rows] = before + _SMOOTHING * (seconds - before)

    def _expected(self, match: int, length: int) -> float:
        """Tokens that a round of this length yields: 1 + p + p^2 + ... + p^length."""
        luck = self._right[match] / (self._right[match] + self._wrong[match])
        return sum(luck**power for power in range(length + 1))

    def _cost(self, rows: int) -> float:
        """Seconds of a pass over rows: measured, or on a line between or beyond measured ones."""
        if rows in self._seconds:
            return self._seconds[rows]
        below = max(known for known in self._seconds if known < rows)
        above = min((known for known in self._seconds if known > rows), default=None)
        if above is None:
            return self._seconds[below] + (rows - below) * _ROW_GUESS * self._seconds[1]
        share = (rows - below) / (above - below)
        return self._seconds[below] + share * (self._seconds[above] - self._seconds[below])
