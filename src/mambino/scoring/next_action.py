"""Next-action tool use: is the sampled action the expected one: a message, or calls with alike arguments?

Arguments are compared as NeMo-Gym's single-step environment does: types and structure exactly, long strings by shared
words. Start at score_action.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from mambino.scoring.call_syntax import Call
from mambino.scoring.scored import Scored, right, wrong

FLOAT_TOLERANCE = 1e-6
WORD_OVERLAP = 0.1  # shared words over all words of both; 0.5 is the same words


def score_action(calls: Sequence[Call], expected: Sequence[Call], *, allow_extra: bool = True) -> Scored:
    """Without expected calls a message is expected, and any is right; else each expected call needs its own match.

    The order is free; allow_extra says whether further calls are.
    """
    if not expected:
        return wrong(f"called {calls[0].name} where a message was expected") if calls else right("a message")
    if not calls:
        return wrong(f"a message where a call of {expected[0].name} was expected")
    if not allow_extra and len(calls) > len(expected):
        return wrong(f"{len(calls)} calls instead of {len(expected)}")
    if _has_matching([[alike_calls(call, other) for call in calls] for other in expected]):
        return right()
    return wrong(f"no match for {', '.join(call.name for call in expected)} among {', '.join(c.name for c in calls)}")


def _has_matching(fits: Sequence[Sequence[bool]]) -> bool:
    """Can every row be given a column of its own? Kuhn's augmenting paths."""
    owner: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in seen:
                seen.add(column)
                if column not in owner or place(owner[column], seen):
                    owner[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(fits)))


def alike_calls(call: Call, expected: Call) -> bool:
    return call.name == expected.name and alike(dict(call.arguments), dict(expected.arguments))


def alike(value: object, expected: object) -> bool:
    """Same JSON type and structure; floats within FLOAT_TOLERANCE; strings alike in words, short ones equal."""
    if type(value) is not type(expected):
        return False
    if isinstance(value, Mapping) and isinstance(expected, Mapping):
        return value.keys() == expected.keys() and all(alike(value[key], expected[key]) for key in expected)
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(alike, value, expected))
    if isinstance(value, float) and isinstance(expected, float):
        return math.isclose(value, expected, rel_tol=0.0, abs_tol=FLOAT_TOLERANCE)
    if isinstance(value, str) and isinstance(expected, str):
        return _alike_text(value, expected)
    return value == expected


def _alike_text(text: str, expected: str) -> bool:
    words, others = text.lower().split(), expected.lower().split()
    if len(words) < 2 or len(others) < 2:
        return text == expected
    shared = sum((Counter(words) & Counter(others)).values())
    return shared / (len(words) + len(others)) >= WORD_OVERLAP
