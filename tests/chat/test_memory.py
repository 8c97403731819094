"""Facts outlive the process, are few, and are read back only from a file that holds facts."""

from pathlib import Path

import pytest

from mambino.chat.memory import Memory
from mambino.errors import FormatError


def test_facts_come_back_and_the_oldest_are_forgotten(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "deep" / "m.json", 3)
    assert memory.text() == ""
    for fact in ("one", "two", " three \n words", "two", "four", ""):
        memory.remember(fact)
    assert Memory(memory.path, 3).facts == ("three words", "two", "four")
    assert memory.text().endswith("- two\n- four")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"facts": ["x"]}', b'{"format": "mambino-memory", "facts": [1]}'])
def test_another_file_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="delete it"):
        Memory(path, 3)
    assert path.read_bytes() == content


def test_a_person_can_change_and_take_back_what_is_remembered(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "m.json", 3)
    memory.remember("one")
    memory.replace(["two", " ", "one\ntwo", "two", "three", "four"])
    assert Memory(memory.path, 3).facts == ("one two", "three", "four")
    memory.replace([])
    assert Memory(memory.path, 3).facts == memory.facts == ()


def test_a_fact_is_cut_to_a_line(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "m.json", 3)
    memory.remember("x" * 10_000)
    assert len(memory.facts[0]) == 300
