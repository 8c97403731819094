"""mambino pull, through the command line, against a stand-in hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.stand_in import Hub, serve


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with serve(Hub(repo="zoo/ape", files={"ape-Q4_K_M.gguf": b"4" * 5000, "ape-Q8_0.gguf": b"8"})) as running:
        yield running


def test_pull_prints_the_path_and_list_knows_the_model(mambino: Any, hub: Hub, home: Path) -> None:
    code, out, err = mambino("pull", "zoo/ape:Q4_K_M", "--endpoint", hub.endpoint)
    path = home / "models/zoo/ape/ape-Q4_K_M.gguf"
    assert (code, out) == (0, f"{path}\n")
    assert path.read_bytes() == b"4" * 5000
    assert "ape-Q4_K_M.gguf, 5 kB" in err
    assert "mambino chat -m zoo/ape:ape-Q4_K_M.gguf" in err
    assert "\x1b" not in err
    assert mambino("list")[1].startswith("zoo/ape ")


def test_several_files_are_listed_with_what_to_type(mambino: Any, hub: Hub) -> None:
    code, out, err = mambino("pull", "zoo/ape", "--endpoint", hub.endpoint)
    assert (code, out) == (1, "")
    assert "  zoo/ape:ape-Q8_0.gguf  (" in err


def test_no_network_is_said_in_one_line(mambino: Any) -> None:
    code, _, err = mambino("pull", "zoo/ape", "--endpoint", "http://127.0.0.1:9")
    assert code == 1
    assert err.startswith("mambino: [pull] cannot reach http://127.0.0.1:9: ")
    assert err.count("\n") == 1
