"""Four times in a row is a loop, whatever the period; short or changing patterns are not."""

import pytest

from mambino.chat.repetition import MAX_PERIOD, MIN_TOKENS, REPEATS, LoopGuard


def first_loop(tokens: list[int]) -> int | None:
    """Tokens seen when the guard speaks."""
    guard = LoopGuard()
    return next((index + 1 for index, token in enumerate(tokens) if guard.sees_loop(token)), None)


@pytest.mark.parametrize("period", [1, 2, 7, 40, MAX_PERIOD])
def test_a_loop_is_seen_as_soon_as_it_has_repeated_enough(period: int) -> None:
    before, stretch = list(range(1000, 1050)), list(range(period))
    expected = len(before) + period + max(REPEATS * period, MIN_TOKENS)
    assert first_loop(before + stretch * 100) == expected


def test_longer_periods_and_changing_text_pass() -> None:
    assert first_loop(list(range(MAX_PERIOD + 1)) * 5) is None
    assert first_loop([value for number in range(200) for value in (1, 2, 3, number + 10)]) is None
    assert first_loop([5] * MIN_TOKENS) is None
