"""`mambino plan`: what the flags of chat and serve cost is in its sum, and a plan that is too large says what helps."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.tiny_file import write_tiny_directory

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def model(tmp_path: Path) -> str:
    write_tiny_directory(tmp_path / "model")
    return str(tmp_path / "model")


def planned(mambino: Run, model: str, *flags: str) -> dict[str, int]:
    code, out, err = mambino("plan", model, *flags, "--json")
    assert code == 0, err
    found: dict[str, int] = json.loads(out)
    return found


def test_the_total_is_the_sum_of_its_lines(mambino: Run, model: str) -> None:
    plan = planned(mambino, model)
    parts = ("weights", "state", "kv", "snapshots", "adapters", "scratch", "process")
    assert plan["total"] == sum(plan[part] for part in parts)
    assert plan["adapters"] == 0


def test_keys_and_values_in_8_bits_take_half_and_their_scales(mambino: Run, model: str) -> None:
    eight, sixteen = planned(mambino, model, "--kv", "q8")["kv"], planned(mambino, model)["kv"]
    assert 0.5 < eight / sixteen < 0.65  # a scale for every 32 values of a head, and one for a head of less


def test_an_adapter_is_planned_for(mambino: Run, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Given:
        nbytes = 5000

    monkeypatch.setattr("mambino.cli.adapters.open_adapter", lambda path, config: Given())
    assert planned(mambino, model, "--adapter", "mine")["adapters"] == 2 * 5000
    code, out, _ = mambino("plan", model, "--adapter", "mine")
    assert (code, "adapters" in out) == (0, True)


def test_too_much_is_said_with_what_would_help(mambino: Run, model: str) -> None:
    code, out, _ = mambino("plan", model, "--memory", "20MiB")
    assert code == 1
    assert "too much" in out
