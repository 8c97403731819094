"""Packing keeps documents whole and apart; a mixture's place is exact."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambino.errors import InputError
from mambino.train.data import IGNORED, Documents, MixedBatches, fill, pack


def documents(*lengths: int, first: int = 1) -> Documents:
    """Documents of distinct tokens, so that every token says where it came from."""
    starts = np.cumsum([first, *lengths])
    return Documents.of([range(start, start + length) for start, length in zip(starts, lengths, strict=False)])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=200), st.integers(1, 33))
def test_every_document_is_packed_once_and_no_row_overflows(lengths: list[int], row_size: int) -> None:
    rows = pack(lengths, row_size)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(min(lengths[index], row_size) for index in row) <= row_size for row in rows)


def test_packing_wastes_little() -> None:
    lengths = np.random.default_rng(1).integers(5, 200, size=2000).tolist()
    rows = pack(lengths, 512)
    assert sum(lengths) / (512 * len(rows)) > 0.97


def test_targets_never_cross_documents_and_resets_mark_first_tokens() -> None:
    source = documents(3, 1, 2)
    batch = fill([[source[0], source[1], source[2]]], row_size=8)
    assert batch.tokens_BT.tolist() == [[1, 2, 3, 4, 5, 6, 0, 0]]
    assert batch.targets_BT.tolist() == [[2, 3, IGNORED, IGNORED, 6, IGNORED, IGNORED, IGNORED]]
    assert batch.resets_BT.tolist() == [[True, False, False, True, True, False, True, False]]
    assert batch.num_targets == 3


def test_what_does_not_count_is_read_but_no_target() -> None:
    source = documents(4)
    answer = replace(source, counted=np.array([True, False, True, False]))
    batch = fill([[answer[0]]], row_size=4)
    assert batch.tokens_BT.tolist() == [[1, 2, 3, 4]]
    assert batch.targets_BT.tolist() == [[IGNORED, 3, IGNORED, IGNORED]]
    assert answer.sha256 != source.sha256


def test_a_document_longer_than_a_row_is_cut() -> None:
    batch = fill([[documents(9)[0]]], row_size=4)
    assert batch.tokens_BT.tolist() == [[1, 2, 3, 4]]
    assert batch.targets_BT.tolist() == [[2, 3, 4, IGNORED]]


def test_pieces_of_a_long_document_are_all_read() -> None:
    source = documents(9, 2, 4)
    pieces = source.in_pieces(4)
    assert [piece.tokens.tolist() for piece in (pieces[place] for place in range(len(pieces)))] == [
        [1, 2, 3, 4], [5, 6, 7, 8], [9], [10, 11], [12, 13, 14, 15],
    ]  # fmt: skip
    assert pieces.sha256 != source.sha256
    assert source.in_pieces(9).sha256 == source.sha256


def mixed(weights: dict[str, float] | None = None) -> MixedBatches:
    corpora = {"a": documents(3, 5, 2, 7, first=100), "b": documents(4, 4, 1, first=200)}
    shares = weights or {"a": 0.5, "b": 0.5}
    return MixedBatches(corpora, lambda _: shares, rows=2, row_size=8, seed=3)


def test_a_restored_mixture_continues_with_the_same_batches_across_epochs() -> None:
    straight, stopped = mixed(), mixed()
    expected = [straight.batch(step) for step in range(20)]
    for step in range(7):
        stopped.batch(step)
    resumed = mixed()
    resumed.restore(stopped.state)
    for step in range(7, 20):
        batch = resumed.batch(step)
        assert np.array_equal(batch.tokens_BT, expected[step].tokens_BT)
        assert np.array_equal(batch.targets_BT, expected[step].targets_BT)


def test_an_epoch_shows_every_document_once() -> None:
    batches = mixed({"a": 1.0, "b": 0.0})
    seen: list[int] = []
    while len(seen) < 17:
        seen += [int(token) for token in batches.batch(0).tokens_BT.flatten() if token]
    assert sorted(seen[:17]) == list(range(100, 117))


def test_weights_must_name_the_corpora() -> None:
    with pytest.raises(InputError, match="corpora are"):
        MixedBatches({"a": documents(2)}, lambda _: {"b": 1.0}, rows=1, row_size=4, seed=0)


def test_an_empty_document_is_refused() -> None:
    with pytest.raises(InputError, match="at least one token"):
        Documents.of([[1], []])
