"""States on disk: found by their text, refused when damaged or foreign, never half written."""

import os
from pathlib import Path

import numpy as np
import pytest

from fake_lm import FakeLM
from mambino.config import HybridConfig
from mambino.errors import FormatError
from mambino.generation.prefix_cache import Place
from mambino.generation.state_store import StateStore, read_place, write_place
from tiny_models import tiny_adapter

PRINT = "f" * 40


@pytest.fixture
def model(tiny_config: HybridConfig) -> FakeLM:
    return FakeLM(tiny_config)


def place(model: FakeLM, text: str) -> Place:
    ids = tuple(ord(letter) % 101 for letter in text)
    state = model.new_state(1000)
    model.extend(state, np.array(ids, dtype=np.int32))
    return Place(text=text, ids=ids, snapshot=state.snapshot())


def test_the_longest_beginning_comes_back_in_another_process(model: FakeLM, tmp_path: Path) -> None:
    for text in ("one", "one two", "another"):
        StateStore(tmp_path, model, PRINT).put(place(model, text))
    found = StateStore(tmp_path, model, PRINT).best("one two three")
    assert found is not None
    assert (found.text, found.ids) == ("one two", place(model, "one two").ids)
    state = model.new_state(1000)
    state.restore(found.snapshot)
    assert state.position == 7
    assert StateStore(tmp_path, model, PRINT).best("one two three", longer_than=7) is None
    assert StateStore(tmp_path, model, PRINT).best("one") is None


def test_another_fingerprint_sees_nothing_and_its_files_are_refused(model: FakeLM, tmp_path: Path) -> None:
    path = StateStore(tmp_path, model, PRINT).put(place(model, "one"))
    assert StateStore(tmp_path, model, "e" * 40).best("one two") is None
    with pytest.raises(FormatError, match="another model"):
        read_place(path, model, "e" * 40)


def test_every_damage_is_noticed_and_the_file_computed_again(model: FakeLM, tmp_path: Path) -> None:
    store = StateStore(tmp_path, model, PRINT)
    path = store.put(place(model, "one"))
    whole = path.read_bytes()
    for damaged in (b"", whole[:7], whole[:-1], whole + b"x", bytes(len(whole))):
        path.write_bytes(damaged)
        with pytest.raises(FormatError):
            read_place(path, model, PRINT)
    for index in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        with pytest.raises(FormatError):
            read_place(path, model, PRINT)
    assert store.best("one two") is None
    assert not path.exists()


def test_a_failed_write_leaves_nothing(model: FakeLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(FormatError, match="No space"):
        write_place(tmp_path / "x.state", place(model, "one"), model, PRINT)
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_files_go_when_the_cap_is_reached(model: FakeLM, tmp_path: Path) -> None:
    first = StateStore(tmp_path, model, PRINT).put(place(model, "one"))
    store = StateStore(tmp_path, model, PRINT, max_nbytes=2 * first.stat().st_size + 20)
    for number, text in enumerate(("two", "six", "ten")):
        path = store.put(place(model, text))
        stamp = 10**9 * (number + 2_000_000_000)
        os.utime(path, ns=(stamp, stamp))
    assert len(list(first.parent.glob("*.state"))) <= 2
    assert not first.exists()
    assert store.best("ten!") is not None


def test_foreign_files_in_the_folder_are_left_alone(model: FakeLM, tmp_path: Path) -> None:
    store = StateStore(tmp_path, model, PRINT)
    store.put(place(model, "one"))
    for name in ("notes.txt", "3-zz.state", "x-00.state", ".hidden"):
        (store.folder / name).write_text("mine")
    assert store.best("one two") is not None
    assert (store.folder / "notes.txt").read_text() == "mine"


def test_a_state_of_one_adapter_is_found_for_that_adapter_only(model: FakeLM, tmp_path: Path) -> None:
    adapter = tiny_adapter(model.config)
    state = model.new_state(100, adapter)
    model.extend(state, np.array([1, 2, 3], np.int32))
    store = StateStore(tmp_path, model, PRINT)
    store.put(Place(text="one", ids=(1, 2, 3), snapshot=state.snapshot()))
    assert store.best("one two") is None
    assert store.best("one two", adapter=tiny_adapter(model.config, 2).digest) is None
    found = store.best("one two", adapter=adapter.digest)
    assert found is not None
    assert (found.text, found.adapter) == ("one", adapter.digest)
    store.put(place(model, "on"))
    assert store.best("one two") is not None
