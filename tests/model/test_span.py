"""What a span says about packed rows, in numbers small enough to read."""

import pytest
import torch

from mambino.model.span import Span

pytestmark = pytest.mark.torch

RESETS = torch.tensor([[False, False, True, False, True]])


def test_positions_start_again_at_every_document() -> None:
    assert Span.packed(RESETS, max_lag=0).positions_BT.tolist() == [[0, 1, 0, 1, 0]]


def test_crossings_are_the_tokens_whose_tap_lies_in_another_document() -> None:
    crossings = Span.packed(RESETS, max_lag=6).crossings
    assert [tokens.tolist() for _, tokens in crossings] == [[2, 4], [2, 3, 4], [3, 4], [4], [], []]


def test_the_mask_is_causal_within_documents() -> None:
    mask = Span.packed(RESETS, max_lag=0).mask_B1TT
    assert mask is not None
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 1],
    ]


def test_only_padded_rows_are_ragged() -> None:
    tokens = torch.zeros(2, 4, dtype=torch.long)
    assert not Span.fresh(tokens).is_ragged
    assert not Span.continued(tokens, [0, 3], [4, 4]).is_ragged
    assert Span.continued(tokens, [0, 3], [4, 1]).is_ragged
    assert Span.continued(tokens, [0, 3], [4, 1]).positions_BT.tolist() == [[0, 1, 2, 3], [3, 4, 5, 6]]
