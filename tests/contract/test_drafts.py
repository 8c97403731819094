"""verify and accept: the law "draft" of lm.py, for every implementation."""

import numpy as np
import pytest

from mambino.errors import ContextFull, InputError
from mambino.lm import Float32Array, Int32Array, LanguageModel, SequenceState

ROOM = 700


def tokens_of(lm: LanguageModel, count: int, seed: int = 0) -> Int32Array:
    return np.random.default_rng(seed).integers(0, lm.config.vocab_size, count).astype(np.int32)


def started(lm: LanguageModel, count: int) -> SequenceState:
    state = lm.new_state(ROOM)
    if count:
        lm.extend(state, tokens_of(lm, count))
    return state


def far_apart(a: Float32Array, b: Float32Array, tolerance: float) -> bool:
    return float(np.abs(a - b).max()) > tolerance


@pytest.mark.parametrize("start", [0, 1, 2, 65, 270])
@pytest.mark.parametrize("count", [1, 2, 5, 17])
def test_verified_logits_are_those_of_one_token_at_a_time(
    lm: LanguageModel, tolerance: float, start: int, count: int
) -> None:
    state, plain = started(lm, start), started(lm, start)
    draft = tokens_of(lm, count, seed=1)
    verified = lm.verify(state, draft)
    assert verified.shape == (count, lm.config.vocab_size)
    assert state.position == start
    for t in range(count):
        assert not far_apart(verified[t], lm.extend(plain, draft[t : t + 1]), tolerance), t


@pytest.mark.parametrize("start", [0, 1, 2, 65])
@pytest.mark.parametrize("accepted", [0, 1, 2, 3, 9])
def test_accepting_leaves_what_extending_would_leave(
    lm: LanguageModel, tolerance: float, start: int, accepted: int
) -> None:
    state, plain = started(lm, start), started(lm, start)
    draft, after = tokens_of(lm, 9, seed=1), tokens_of(lm, 4, seed=2)
    lm.verify(state, draft)
    lm.accept(state, accepted)
    if accepted:
        lm.extend(plain, draft[:accepted])
    assert state.position == start + accepted
    for t in range(4):
        assert not far_apart(lm.extend(state, after[t : t + 1]), lm.extend(plain, after[t : t + 1]), tolerance), t


def test_verifying_moves_nothing(lm: LanguageModel) -> None:
    state, plain = started(lm, 20), started(lm, 20)
    snapshot = state.snapshot()
    for seed in range(3):
        lm.verify(state, tokens_of(lm, 6, seed))
    assert lm.pack(state.snapshot()) == lm.pack(snapshot)
    assert np.array_equal(lm.extend(state, tokens_of(lm, 3, 9)), lm.extend(plain, tokens_of(lm, 3, 9)))


def test_round_after_round_goes_the_way_of_plain_extension(lm: LanguageModel, tolerance: float) -> None:
    state, plain = started(lm, 7), started(lm, 7)
    for seed, accepted in enumerate((3, 0, 8, 1, 5)):
        draft = tokens_of(lm, 8, seed)
        lm.verify(state, draft)
        lm.accept(state, accepted)
        for token in draft[:accepted]:
            lm.extend(plain, np.array([token], np.int32))
        got, expected = lm.extend(state, draft[:1]), lm.extend(plain, draft[:1])
        assert not far_apart(got, expected, tolerance), seed


def test_states_may_be_verified_in_turns(lm: LanguageModel, tolerance: float) -> None:
    states, plain = [started(lm, 3), started(lm, 40)], [started(lm, 3), started(lm, 40)]
    drafts = [tokens_of(lm, 4, seed=1), tokens_of(lm, 7, seed=2)]
    for state, draft in zip(states, drafts, strict=True):
        lm.verify(state, draft)
    for state, other, draft in zip(states, plain, drafts, strict=True):
        lm.accept(state, 3)
        lm.extend(other, draft[:3])
        assert not far_apart(lm.extend(state, draft[:2]), lm.extend(other, draft[:2]), tolerance)


@pytest.mark.parametrize("move", ["accept", "extend", "restore"])
def test_a_state_that_moved_has_nothing_to_accept(lm: LanguageModel, move: str) -> None:
    state = started(lm, 5)
    snapshot = state.snapshot()
    lm.verify(state, tokens_of(lm, 4))
    if move == "accept":
        lm.accept(state, 2)
    elif move == "extend":
        lm.extend(state, tokens_of(lm, 1))
    else:
        state.restore(snapshot)
    position = state.position
    with pytest.raises(InputError):
        lm.accept(state, 1)
    assert state.position == position


@pytest.mark.parametrize("count", [-1, 5])
def test_more_than_was_verified_cannot_be_accepted(lm: LanguageModel, count: int) -> None:
    state = started(lm, 5)
    lm.verify(state, tokens_of(lm, 4))
    with pytest.raises(InputError, match=f"{count} tokens"):
        lm.accept(state, count)
    lm.accept(state, 4)


def test_a_draft_that_cannot_be_verified_is_refused(lm: LanguageModel, other_lm: LanguageModel) -> None:
    small = lm.new_state(3)
    with pytest.raises(ContextFull):
        lm.verify(small, tokens_of(lm, 4))
    with pytest.raises(InputError):
        lm.verify(started(lm, 0), tokens_of(lm, 513))
    with pytest.raises(InputError):
        lm.verify(small, np.array([lm.config.vocab_size], np.int32))
    with pytest.raises(InputError):
        lm.verify(other_lm.new_state(5), tokens_of(lm, 1))
    assert small.position == 0
