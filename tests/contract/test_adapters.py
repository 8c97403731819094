"""Adapters at run time: a state made with one obeys the laws as any other does, and nobody else notices it."""

import numpy as np
import pytest

from mambino.errors import InputError
from mambino.formats.adapter import Adapter
from mambino.lm import Float32Array, Int32Array, LanguageModel, SequenceState
from tiny_models import tiny_adapter

LENGTH = 30


def tokens_of(lm: LanguageModel, seed: int = 0, count: int = LENGTH) -> Int32Array:
    return np.random.default_rng(seed).integers(0, lm.config.vocab_size, count).astype(np.int32)


def distance(a: Float32Array, b: Float32Array) -> float:
    return float(np.abs(a - b).max())


@pytest.fixture(scope="module")
def adapters(lm: LanguageModel) -> tuple[Adapter, Adapter]:
    return tiny_adapter(lm.config, 1), tiny_adapter(lm.config, 2, rank=5)


def extended(lm: LanguageModel, adapter: Adapter | None, tokens: Int32Array) -> tuple[SequenceState, Float32Array]:
    state = lm.new_state(2 * LENGTH, adapter)
    return state, lm.extend(state, tokens)


def test_adapters_change_what_is_said_each_in_its_way(lm: LanguageModel, adapters: tuple[Adapter, Adapter]) -> None:
    said = [extended(lm, adapter, tokens_of(lm))[1] for adapter in (None, *adapters)]
    assert min(distance(said[i], said[j]) for i in range(3) for j in range(i)) > 0.5


def test_states_with_different_adapters_share_a_pass(
    lm: LanguageModel, adapters: tuple[Adapter, Adapter], tolerance: float
) -> None:
    one, other = adapters
    # Neighbours with the same adapter, none, another; of lengths that few and many tokens at once serve differently.
    rows = [(one, 1), (one, 7), (None, 3), (other, 12), (one, 2), (None, 1), (other, 1)]
    texts = [tokens_of(lm, seed, count) for seed, (_, count) in enumerate(rows)]
    states = [lm.new_state(LENGTH, adapter) for adapter, _ in rows]
    together = lm.extend_many(states, texts)
    again = lm.extend_many(states, [tokens_of(lm, 9, 1)] * len(rows))
    for index, (adapter, _) in enumerate(rows):
        state, alone = extended(lm, adapter, texts[index])
        assert distance(together[index], alone) <= tolerance, index
        assert distance(again[index], lm.extend(state, tokens_of(lm, 9, 1))) <= tolerance, index


def test_a_cut_text_is_the_same_text(lm: LanguageModel, adapters: tuple[Adapter, Adapter], tolerance: float) -> None:
    tokens = tokens_of(lm)
    _, whole = extended(lm, adapters[0], tokens)
    for cut in (1, 4, 5, 17, 29):
        state, _ = extended(lm, adapters[0], tokens[:cut])
        assert distance(lm.extend(state, tokens[cut:]), whole) <= tolerance, cut


def test_drafts_are_verified_and_accepted_with_the_adapter(
    lm: LanguageModel, adapters: tuple[Adapter, Adapter], tolerance: float
) -> None:
    state, _ = extended(lm, adapters[0], tokens_of(lm))
    draft = tokens_of(lm, 3, 9)
    verified = lm.verify(state, draft)
    twin, _ = extended(lm, adapters[0], tokens_of(lm))
    for row, token in zip(verified, draft, strict=True):
        assert distance(row, lm.extend(twin, np.array([token], np.int32))) <= tolerance
    lm.accept(state, 9)
    last = tokens_of(lm, 4, 1)
    assert distance(lm.extend(state, last), lm.extend(twin, last)) <= tolerance


def test_a_snapshot_goes_on_with_its_adapter_and_with_no_other(
    lm: LanguageModel, adapters: tuple[Adapter, Adapter]
) -> None:
    state, _ = extended(lm, adapters[0], tokens_of(lm))
    snapshot = state.snapshot()
    assert snapshot.adapter == adapters[0].digest
    last = tokens_of(lm, 4, 1)
    expected = lm.extend(state, last)
    for kept in (snapshot, lm.unpack(lm.pack(snapshot))):
        twin = lm.new_state(2 * LENGTH, adapters[0])
        twin.restore(kept)
        np.testing.assert_array_equal(lm.extend(twin, last), expected)
        for adapter in (None, adapters[1]):
            other, _ = extended(lm, adapter, tokens_of(lm, 5))
            with pytest.raises(InputError, match="the snapshot was made with adapter"):
                other.restore(kept)
            assert other.position == LENGTH
    plain = lm.new_state(LENGTH).snapshot()
    assert plain.adapter == ""
    with pytest.raises(InputError, match="made with no adapter"):
        state.restore(plain)
