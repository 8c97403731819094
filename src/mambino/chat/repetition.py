"""Notices when tokens go round in circles. Knows ids only. Start at LoopGuard."""

import numpy as np

MAX_PERIOD = 256  # tokens: a long paragraph
REPEATS = 3  # after the first time
MIN_TOKENS = 64  # of repetition: rules and small tables repeat for less


class LoopGuard:
    """Sees a stretch of up to MAX_PERIOD tokens that came four times in a row, word for word."""

    def __init__(self) -> None:
        self._recent = np.full(MAX_PERIOD, -1, dtype=np.int64)  # the last ids, newest first
        self._run = np.zeros(MAX_PERIOD, dtype=np.int64)  # by period - 1: tokens in a row that repeat it
        self._limit = np.maximum(REPEATS * np.arange(1, MAX_PERIOD + 1), MIN_TOKENS)

    def sees_loop(self, token: int) -> bool:
        """Whether token completes a loop. Mutates self."""
        self._run += 1
        self._run *= self._recent == token
        self._recent[1:] = self._recent[:-1]
        self._recent[0] = token
        return bool((self._run >= self._limit).any())
