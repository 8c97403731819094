"""Snapshots of the engine share the memory of common beginnings, a page of 256 tokens at a time."""

import numpy as np
import pytest

from mambino.engine.native import NativeLM, NativeSnapshot
from mambino.formats.names import rows
from mambino.lm import Int32Array
from tiny_models import tiny_hybrid_config, tiny_weights

pytestmark = pytest.mark.native

TEXT = np.random.default_rng(0).integers(0, 101, 900).astype(np.int32)


@pytest.fixture(scope="module")
def lm() -> NativeLM:
    config = tiny_hybrid_config()
    tensors = tiny_weights(config)
    return NativeLM(config, {row.own: row.transform.to_gguf(tensors[row.own]) for row in rows(config)}, threads=1)


def new_nbytes(snapshot: NativeSnapshot, *others: NativeSnapshot) -> int:
    """Memory that snapshot has and others have not."""
    known = {piece for other in others for piece, _ in other.pieces}
    return sum(nbytes for piece, nbytes in snapshot.pieces if piece not in known)


def text(count: int, begin: int = 0) -> Int32Array:
    return TEXT[begin : begin + count] % 37


def test_a_later_snapshot_adds_only_new_pieces(lm: NativeLM) -> None:
    state = lm.new_state(900)
    lm.extend(state, text(520))
    first = state.snapshot()
    lm.extend(state, text(10, 520))
    second = state.snapshot()
    rest = lm.config.state_nbytes(530 - 512)
    assert new_nbytes(second, first) == rest
    lm.extend(state, text(240, 530))
    assert new_nbytes(state.snapshot(), second) == lm.config.state_nbytes(770 - 512)


def test_a_snapshot_of_an_unchanged_state_costs_nothing(lm: NativeLM) -> None:
    state, other = lm.new_state(900), lm.new_state(900)
    lm.extend(state, text(300))
    first = state.snapshot()
    assert new_nbytes(state.snapshot(), first) == 0
    other.restore(first)
    assert new_nbytes(other.snapshot(), first) == 0


def test_a_state_restored_from_a_snapshot_shares_its_pieces(lm: NativeLM) -> None:
    state, other = lm.new_state(900), lm.new_state(900)
    lm.extend(state, text(520))
    first = state.snapshot()
    lm.extend(other, text(300, 77))
    other.restore(first)
    lm.extend(other, text(3, 600))
    assert new_nbytes(other.snapshot(), first) == lm.config.state_nbytes(523 - 512)


def test_a_state_that_went_another_way_does_not_share_what_differs(lm: NativeLM) -> None:
    state = lm.new_state(900)
    lm.extend(state, text(260))
    fork = state.snapshot()
    lm.extend(state, text(300, 260))
    one = state.snapshot()
    state.restore(fork)
    lm.extend(state, text(300, 500))
    other = state.snapshot()
    assert other.pieces[0] == one.pieces[0] == fork.pieces[0]
    assert new_nbytes(other, one, fork) == lm.config.state_nbytes(560 - 256)


def test_a_state_keeps_the_rest_of_no_dropped_snapshot_alive(lm: NativeLM) -> None:
    state = lm.new_state(900)
    lm.extend(state, text(520))
    *pages, rest = state.snapshot().pieces
    *same_pages, other_rest = state.snapshot().pieces
    assert pages == same_pages
    assert rest != other_rest


@pytest.mark.parametrize("cut", [255, 256, 257, 300])
def test_states_of_one_beginning_do_not_write_into_each_other(lm: NativeLM, cut: int) -> None:
    state = lm.new_state(900)
    lm.extend(state, text(cut))
    fork = state.snapshot()
    expected = lm.extend(state, text(280, 400)).copy()
    later = state.snapshot()
    following = lm.extend(state, text(5, 680)).copy()
    others = [lm.new_state(900) for _ in range(2)]
    for i, other in enumerate(others):
        other.restore(fork)
        lm.extend(other, text(280, 100 + i))
    state.restore(fork)
    lm.extend(state, text(280, 50))
    for place, tokens, logits in ((later, text(5, 680), following), (fork, text(280, 400), expected)):
        state.restore(place)
        np.testing.assert_array_equal(lm.extend(state, tokens), logits)
