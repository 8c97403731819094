"""The nine laws of lm.py, for every implementation in this folder's conftest and two model families.

Lengths cross the edges where implementations change their ways: 1, odd, chunk +- 1, more than one pass.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from mambino.errors import ContextFull, InputError
from mambino.lm import Float32Array, Int32Array, LanguageModel, SequenceState

LONG = 150  # more than two chunks of 64
CHUNK_CUTS = (1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 149)


def random_tokens(lm: LanguageModel, count: int, seed: int = 0) -> Int32Array:
    return np.random.default_rng(seed).integers(0, lm.config.vocab_size, count).astype(np.int32)


def extended(lm: LanguageModel, tokens: Int32Array, *, room: int = 0) -> tuple[SequenceState, Float32Array]:
    state = lm.new_state(max(room, tokens.size))
    return state, lm.extend(state, tokens)


def distance(a: Float32Array, b: Float32Array) -> float:
    return float(np.abs(a - b).max())


# --- split -----------------------------------------------------------------------------------------------------------


def test_split_at_every_cut_of_a_short_text_agrees_with_one_extension(lm: LanguageModel, tolerance: float) -> None:
    tokens = random_tokens(lm, 20)
    _, whole = extended(lm, tokens)
    for cut in range(1, 20):
        state, _ = extended(lm, tokens[:cut], room=20)
        assert distance(lm.extend(state, tokens[cut:]), whole) <= tolerance, cut


@pytest.mark.parametrize("cut", CHUNK_CUTS)
def test_split_at_chunk_edges_agrees_with_one_extension(lm: LanguageModel, tolerance: float, cut: int) -> None:
    tokens = random_tokens(lm, LONG)
    _, whole = extended(lm, tokens)
    state, _ = extended(lm, tokens[:cut], room=LONG)
    assert distance(lm.extend(state, tokens[cut:]), whole) <= tolerance


def test_one_token_at_a_time_agrees_with_score(lm: LanguageModel, tolerance: float) -> None:
    tokens = random_tokens(lm, 70)
    scores = lm.score(tokens)
    assert scores.shape == (70, lm.config.vocab_size)
    state = lm.new_state(70)
    for t in range(70):
        assert distance(lm.extend(state, tokens[t : t + 1]), scores[t]) <= tolerance, t


@pytest.mark.parametrize("count", [1, 511, 512, 513, 700])
def test_a_prompt_longer_than_one_pass_agrees_with_score(lm: LanguageModel, tolerance: float, count: int) -> None:
    tokens = random_tokens(lm, count)
    _, logits = extended(lm, tokens)
    assert logits.dtype == np.float32
    assert distance(logits, lm.score(tokens)[-1]) <= tolerance


# --- batch -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lengths", [(1, 1, 1), (5, 1, 70, 64), (2,), (600, 3)])
def test_extend_many_agrees_with_the_loop_and_goes_on_alike(
    lm: LanguageModel, tolerance: float, lengths: Sequence[int]
) -> None:
    first = [random_tokens(lm, 3 + 7 * index, seed=index) for index in range(len(lengths))]
    second = [random_tokens(lm, length, seed=50 + index) for index, length in enumerate(lengths)]
    third = [random_tokens(lm, 1, seed=90 + index) for index in range(len(lengths))]
    together = [lm.new_state(700) for _ in lengths]
    alone = [lm.new_state(700) for _ in lengths]
    for tokens in (first, second, third):
        got = lm.extend_many(together, tokens)
        expected = np.stack([lm.extend(state, row) for state, row in zip(alone, tokens, strict=True)])
        assert got.shape == (len(lengths), lm.config.vocab_size)
        assert distance(got, expected) <= tolerance
        assert [state.position for state in together] == [state.position for state in alone]


# --- snapshot --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 65, LONG])
def test_restore_then_extend_is_bitwise_what_it_was_without_the_detour(lm: LanguageModel, count: int) -> None:
    tokens, detour = random_tokens(lm, count), random_tokens(lm, 40, seed=1)
    state, _ = extended(lm, tokens, room=300)
    snapshot = state.snapshot()
    assert snapshot.position == count
    expected = [lm.extend(state, detour[:9]), lm.extend(state, detour[9:10])]
    lm.extend(state, detour)
    state.restore(snapshot)
    assert state.position == count
    assert np.array_equal([lm.extend(state, detour[:9]), lm.extend(state, detour[9:10])], expected)


def test_a_snapshot_restores_into_another_state_of_the_same_model(lm: LanguageModel) -> None:
    state, _ = extended(lm, random_tokens(lm, 65), room=100)
    snapshot = state.snapshot()
    expected = lm.extend(state, random_tokens(lm, 2, seed=1))
    larger, _ = extended(lm, random_tokens(lm, 7, seed=2), room=200)
    larger.restore(snapshot)
    assert np.array_equal(lm.extend(larger, random_tokens(lm, 2, seed=1)), expected)
    tight = lm.new_state(67)
    tight.restore(snapshot)
    assert np.array_equal(lm.extend(tight, random_tokens(lm, 2, seed=1)), expected)


def test_a_snapshot_of_an_empty_state_empties_a_state(lm: LanguageModel) -> None:
    empty = lm.new_state(50).snapshot()
    state, _ = extended(lm, random_tokens(lm, 9), room=50)
    state.restore(empty)
    _, expected = extended(lm, random_tokens(lm, 5, seed=3))
    assert state.position == 0
    assert np.array_equal(lm.extend(state, random_tokens(lm, 5, seed=3)), expected)


def test_a_snapshot_does_not_change_when_its_state_goes_on(lm: LanguageModel) -> None:
    state, _ = extended(lm, random_tokens(lm, 5), room=50)
    snapshot = state.snapshot()
    first = lm.extend(state, random_tokens(lm, 3, seed=1))
    for _ in range(2):
        state.restore(snapshot)
        assert np.array_equal(lm.extend(state, random_tokens(lm, 3, seed=1)), first)


def test_a_snapshot_does_not_change_when_its_state_is_used_for_another_text(lm: LanguageModel) -> None:
    state = lm.new_state(90)
    empty = state.snapshot()
    lm.extend(state, random_tokens(lm, 66))
    snapshot = state.snapshot()
    first = lm.extend(state, random_tokens(lm, 3, seed=1))
    state.restore(empty)
    lm.extend(state, random_tokens(lm, 90, seed=2))
    state.restore(snapshot)
    assert np.array_equal(lm.extend(state, random_tokens(lm, 3, seed=1)), first)


def test_a_snapshot_that_does_not_fit_is_refused(lm: LanguageModel) -> None:
    state, _ = extended(lm, random_tokens(lm, 9))
    small, before = extended(lm, random_tokens(lm, 2), room=8)
    with pytest.raises(InputError):
        small.restore(state.snapshot())
    assert small.position == 2
    assert before.shape == (lm.config.vocab_size,)


def test_a_snapshot_of_another_model_is_refused(lm: LanguageModel, other_lm: LanguageModel) -> None:
    foreign, _ = extended(other_lm, random_tokens(other_lm, 3))
    with pytest.raises(InputError):
        lm.new_state(10).restore(foreign.snapshot())


# --- isolation -------------------------------------------------------------------------------------------------------


def test_two_states_interleaved_are_bitwise_what_each_is_alone(lm: LanguageModel) -> None:
    texts = [random_tokens(lm, 75, seed=seed) for seed in (1, 2)]
    pieces = [slice(0, 66), slice(66, 67), slice(67, 72), slice(72, 75)]
    alone = []
    for text in texts:
        state = lm.new_state(75)
        alone.append([lm.extend(state, text[piece]) for piece in pieces])
    states = [lm.new_state(75), lm.new_state(75)]
    for number, piece in enumerate(pieces):
        for which in (0, 1):
            assert np.array_equal(lm.extend(states[which], texts[which][piece]), alone[which][number])


def test_score_touches_no_state(lm: LanguageModel) -> None:
    tokens = random_tokens(lm, 12)
    _, expected = extended(lm, tokens)
    state, _ = extended(lm, tokens[:6], room=12)
    lm.score(random_tokens(lm, 80, seed=4))
    other = lm.new_state(12)
    lm.extend(other, tokens[:6])
    assert np.array_equal(lm.extend(state, tokens[6:]), lm.extend(other, tokens[6:]))
    assert expected.shape == (lm.config.vocab_size,)


# --- repeat ----------------------------------------------------------------------------------------------------------


def test_the_same_input_gives_bitwise_the_same_logits(lm: LanguageModel) -> None:
    tokens = random_tokens(lm, LONG)
    runs = [[lm.score(tokens), extended(lm, tokens)[1]] for _ in range(2)]
    assert np.array_equal(runs[0][0], runs[1][0])
    assert np.array_equal(runs[0][1], runs[1][1])
    batches = [
        lm.extend_many([lm.new_state(LONG) for _ in range(3)], [tokens[:40], tokens[:1], tokens[3:90]])
        for _ in range(2)
    ]
    assert np.array_equal(batches[0], batches[1])


# --- account ---------------------------------------------------------------------------------------------------------


def test_position_counts_tokens(lm: LanguageModel) -> None:
    state = lm.new_state(20)
    assert (state.position, state.max_tokens) == (0, 20)
    lm.extend(state, random_tokens(lm, 7))
    assert state.position == 7
    lm.extend_many([state], [random_tokens(lm, 13)])
    assert (state.position, state.max_tokens) == (20, 20)


def test_context_full_is_raised_before_the_state_changes(lm: LanguageModel) -> None:
    tokens = random_tokens(lm, 10)
    state, _ = extended(lm, tokens[:7], room=10)
    before = state.snapshot()
    with pytest.raises(ContextFull, match="7 of 10"):
        lm.extend(state, tokens[:4])
    assert state.position == 7
    got = lm.extend(state, tokens[7:])
    state.restore(before)
    assert np.array_equal(lm.extend(state, tokens[7:]), got)


def refused_and_unchanged(lm: LanguageModel, tokens: Sequence[Int32Array], error: type[Exception]) -> None:
    """extend_many of two states raises error and leaves both as they were."""
    states = [extended(lm, random_tokens(lm, 4, seed=seed), room=10)[0] for seed in (1, 2)]
    before = [state.snapshot() for state in states]
    with pytest.raises(error):
        lm.extend_many(states, tokens)
    assert [state.position for state in states] == [4, 4]
    after = [lm.extend(state, random_tokens(lm, 2)) for state in states]
    for state, snapshot, logits in zip(states, before, after, strict=True):
        state.restore(snapshot)
        assert np.array_equal(lm.extend(state, random_tokens(lm, 2)), logits)


def test_extend_many_changes_all_states_or_none(lm: LanguageModel) -> None:
    fits, too_many = random_tokens(lm, 3), random_tokens(lm, 7)
    refused_and_unchanged(lm, [fits, too_many], ContextFull)
    refused_and_unchanged(lm, [fits, np.array([lm.config.vocab_size], dtype=np.int32)], InputError)
    refused_and_unchanged(lm, [fits, np.array([], dtype=np.int32)], InputError)
    refused_and_unchanged(lm, [fits], InputError)


@pytest.mark.parametrize("bad", [[], [-1], [0, 10**6]])
def test_tokens_that_are_no_tokens_are_refused(lm: LanguageModel, bad: list[int]) -> None:
    state, _ = extended(lm, random_tokens(lm, 3), room=10)
    for call in (lambda tokens: lm.extend(state, tokens), lm.score):
        with pytest.raises(InputError):
            call(np.array(bad, dtype=np.int32))
    assert state.position == 3


def test_the_same_state_twice_in_one_call_is_refused(lm: LanguageModel) -> None:
    state = lm.new_state(10)
    with pytest.raises(InputError):
        lm.extend_many([state, state], [random_tokens(lm, 1), random_tokens(lm, 1)])
    assert state.position == 0


def test_the_state_of_another_model_is_refused(lm: LanguageModel, other_lm: LanguageModel) -> None:
    with pytest.raises(InputError):
        lm.extend(other_lm.new_state(10), random_tokens(lm, 1))


@pytest.mark.parametrize("room", [0, -1])
def test_a_state_without_room_is_refused(lm: LanguageModel, room: int) -> None:
    with pytest.raises(InputError):
        lm.new_state(room)


# --- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [1, 33, 500])
def test_nbytes_is_what_the_config_says_and_never_changes(lm: LanguageModel, kv_bytes: int, room: int) -> None:
    state = lm.new_state(room)
    expected = lm.config.state_nbytes(room, kv_bytes=kv_bytes)
    assert state.nbytes == expected
    lm.extend(state, random_tokens(lm, room))
    assert state.nbytes == expected


def test_a_snapshot_costs_the_state_of_its_tokens(lm: LanguageModel, kv_bytes: int) -> None:
    state, _ = extended(lm, random_tokens(lm, 9), room=500)
    assert state.snapshot().nbytes == lm.config.state_nbytes(9, kv_bytes=kv_bytes)
