"""A run record is complete JSON that names versions and hides the machine."""

import json
import platform
from pathlib import Path

import pytest

from mambino.train.record import RunRecord, source_commit

pytestmark = pytest.mark.torch


def test_a_record_reads_back_and_names_no_machine(tmp_path: Path) -> None:
    record = RunRecord(
        name="x", commit="abc", config={"hidden_size": 8}, settings={"seed": 1}, data_sha256={"a": "0" * 64},
        num_steps=3, num_tokens=30, held_out_loss={"a": 1.5}, trajectory=[{"step": 1.0, "loss": 2.0}],
    )  # fmt: skip
    record.write(tmp_path / "run_record.json")
    read = json.loads((tmp_path / "run_record.json").read_text())
    assert read["held_out_loss"] == {"a": 1.5}
    assert {"python", "torch", "numpy"} <= read["versions"].keys()
    assert platform.node() not in json.dumps(read["machine"]).split('"')
    assert [path.name for path in tmp_path.iterdir()] == ["run_record.json"]


def test_outside_a_repository_the_commit_is_unknown(tmp_path: Path) -> None:
    assert source_commit(tmp_path) == "unknown"
