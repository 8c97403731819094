"""Snapshots share memory and travel as bytes: the law "snapshot" of lm.py beyond restore, for every implementation."""

import itertools
import subprocess
import sys
import zlib

import numpy as np
import pytest

from mambino.errors import FormatError, InputError
from mambino.lm import Int32Array, LanguageModel, Snapshot

LENGTHS = (1, 17, 255, 256, 257, 530)  # around a shared piece of the engine, 256 tokens
pytestmark = pytest.mark.filterwarnings("error")


def tokens_of(lm: LanguageModel, count: int, seed: int = 0) -> Int32Array:
    return np.random.default_rng(seed).integers(0, lm.config.vocab_size, count).astype(np.int32)


def ids(*snapshots: Snapshot) -> set[int]:
    return {piece for snapshot in snapshots for piece, _ in snapshot.pieces}


# --- pieces ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", LENGTHS)
def test_the_pieces_are_all_of_a_snapshot(lm: LanguageModel, count: int) -> None:
    state = lm.new_state(600)
    lm.extend(state, tokens_of(lm, count))
    snapshot = state.snapshot()
    assert sum(nbytes for _, nbytes in snapshot.pieces) == snapshot.nbytes
    assert len(ids(snapshot)) == len(snapshot.pieces)


def test_pieces_of_unrelated_snapshots_have_different_ids(lm: LanguageModel, other_lm: LanguageModel) -> None:
    snapshots = []
    for seed, model in ((1, lm), (2, lm), (1, other_lm)):
        state = model.new_state(300)
        model.extend(state, tokens_of(model, 300, seed))
        snapshots.append(state.snapshot())
    for a, b in itertools.combinations(snapshots, 2):
        assert not ids(a) & ids(b)


def test_snapshots_along_a_text_restore_each_to_its_own_place(lm: LanguageModel) -> None:
    """Shared pieces are never written again, whatever order states go back and forth in."""
    text, other = tokens_of(lm, 600), tokens_of(lm, 600, seed=9)
    state = lm.new_state(700)
    marks, expected = [], []
    for begin, end in itertools.pairwise((0, *LENGTHS)):
        lm.extend(state, text[begin:end])
        marks.append(state.snapshot())
    for mark in marks:
        fresh = lm.new_state(700)
        fresh.restore(mark)
        expected.append(lm.extend(fresh, other[:3]))
    for index in (5, 0, 3, 4, 1, 2, 5):
        state.restore(marks[index])
        assert state.position == LENGTHS[index]
        assert np.array_equal(lm.extend(state, other[:3]), expected[index])
        lm.extend(state, other[3 : 600 - LENGTHS[index]])
        state.snapshot()


# --- pack ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, *LENGTHS])
def test_an_unpacked_snapshot_goes_on_bitwise_alike(lm: LanguageModel, count: int) -> None:
    state, again = lm.new_state(600), lm.new_state(600)
    if count:
        lm.extend(state, tokens_of(lm, count))
    snapshot = state.snapshot()
    unpacked = lm.unpack(bytes(lm.pack(snapshot)))
    assert (unpacked.position, unpacked.nbytes) == (snapshot.position, snapshot.nbytes)
    again.restore(unpacked)
    for step in (tokens_of(lm, 9, seed=4), tokens_of(lm, 1, seed=5)):
        assert np.array_equal(lm.extend(again, step), lm.extend(state, step))


def test_packing_an_unpacked_snapshot_gives_the_same_bytes(lm: LanguageModel) -> None:
    state = lm.new_state(300)
    lm.extend(state, tokens_of(lm, 270))
    packed = lm.pack(state.snapshot())
    assert lm.pack(lm.unpack(packed)) == packed


def test_packing_refuses_the_snapshot_of_another_model(lm: LanguageModel, other_lm: LanguageModel) -> None:
    with pytest.raises(InputError):
        lm.pack(other_lm.new_state(5).snapshot())


def test_unpacking_refuses_the_state_of_another_model(lm: LanguageModel, other_lm: LanguageModel) -> None:
    with pytest.raises(FormatError, match="packed model"):
        lm.unpack(other_lm.pack(other_lm.new_state(5).snapshot()))


def test_unpacking_refuses_every_cut_and_every_kind_of_damage(lm: LanguageModel) -> None:
    state = lm.new_state(30)
    lm.extend(state, tokens_of(lm, 20))
    packed = bytes(lm.pack(state.snapshot()))
    rng = np.random.default_rng(3)
    cuts = [packed[:end] for end in (0, 1, 8, 11, 12, 13, 100, 200, len(packed) - 1)] + [packed + b"\0"]
    flips = []
    for at in [*range(16), *rng.integers(16, len(packed), 80).tolist()]:
        damaged = bytearray(packed)
        damaged[at] ^= 1 << int(rng.integers(0, 8))
        flips.append(bytes(damaged))
    for data in cuts + flips:
        with pytest.raises(FormatError):
            lm.unpack(data)


def test_a_packed_position_that_its_pieces_do_not_hold_is_refused(lm: LanguageModel) -> None:
    state = lm.new_state(30)
    lm.extend(state, tokens_of(lm, 20))
    packed = bytes(lm.pack(state.snapshot()))
    for position in (b"21", b"-1", b"99", b'"'):
        forged = packed[16:].replace(b'"position": 20', b'"position": ' + position)
        with pytest.raises(FormatError):
            lm.unpack(packed[:12] + zlib.crc32(forged).to_bytes(4, "little") + forged)


@pytest.mark.native
def test_another_process_can_go_on_from_packed_bytes() -> None:
    pytest.importorskip("mambino.engine.native", reason="needs the compiled engine")
    program = """
import sys
import numpy as np
from mambino.load import open_model
lm = open_model(threads=1)
state = lm.new_state(400)
text = np.arange(300, dtype=np.int32)
if sys.argv[1] == "pack":
    lm.extend(state, text)
    sys.stdout.buffer.write(lm.pack(state.snapshot()))
else:
    state.restore(lm.unpack(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(lm.extend(state, text[:5]).tobytes())
"""
    packed = subprocess.run([sys.executable, "-c", program, "pack"], capture_output=True, check=True).stdout
    got = subprocess.run([sys.executable, "-c", program, "go"], input=packed, capture_output=True, check=True).stdout
    from mambino.load import open_model

    lm = open_model(threads=1)
    state = lm.new_state(400)
    text = np.arange(300, dtype=np.int32)
    lm.extend(state, text)
    assert got == lm.extend(state, text[:5]).tobytes()
