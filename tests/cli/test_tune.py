"""sft and tune: what they say before, what they leave behind, and that the results run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.tiny_file import write_tiny_directory, write_tiny_gguf
from conversations import chats

pytestmark = pytest.mark.torch

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "gate.md").write_text("# Gate\n\nIt is blue.\n")
    return folder


def test_a_dry_run_says_what_would_be_learnt_and_writes_nothing(mambino: Run, tmp_path: Path) -> None:
    model = write_tiny_directory(tmp_path / "model")
    code, out, err = mambino("sft", str(chats(tmp_path / "c.jsonl")), "-m", str(model), "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["rows"] == 10
    assert "% only read" in err
    assert "of memory and" in err
    assert {path.name for path in tmp_path.iterdir()} == {"c.jsonl", "home", "model"}


def test_bad_rows_are_refused_by_line_before_anything_is_trained(mambino: Run, tmp_path: Path) -> None:
    model = write_tiny_directory(tmp_path / "model")
    (tmp_path / "c.jsonl").write_text('{"messages": []}\n{')
    code, _, err = mambino("sft", str(tmp_path / "c.jsonl"), "-m", str(model), "-o", str(tmp_path / "out"))
    assert code == 1
    assert "line 1" in err
    assert "line 2" in err
    assert not (tmp_path / "out.run").exists()


@pytest.mark.parametrize("name", ["tuned.gguf", "tuned"])
def test_sft_of_a_gguf_writes_a_file_or_a_folder_that_runs(mambino: Run, tmp_path: Path, name: str) -> None:
    model = write_tiny_gguf(tmp_path / "model.gguf")
    chat_file, out = str(chats(tmp_path / "c.jsonl", 4)), tmp_path / name
    code, text, _ = mambino("sft", chat_file, "-m", str(model), "-o", str(out), "--epochs", "1", "--json")
    assert code == 0
    assert json.loads(text)["held_out_loss_after"] < json.loads(text)["held_out_loss_before"]
    assert (tmp_path / f"{name}.run/run_record.json").is_file()
    assert mambino("run", "-m", str(out), "hi", "-n", "2", "--context", "64")[0] == 0


@pytest.mark.parametrize("name", ["adapter", "adapter.gguf"])
def test_tune_makes_an_adapter_that_run_takes(mambino: Run, tmp_path: Path, notes: Path, name: str) -> None:
    model, out = write_tiny_directory(tmp_path / "model"), tmp_path / name
    code, text, err = mambino(
        "tune", str(notes), "-m", str(model), "-o", str(out), "--rank", "2", "--epochs", "4", "--json"
    )
    assert code == 0, err
    assert "7 of 7 layers" in err
    assert "before:" in err
    record = json.loads(text)
    assert record["after"]["learnt"] < record["before"]["learnt"]
    for backend in ("native", "torch"):
        ran = mambino("run", "-m", str(model), "--adapter", str(out), "--backend", backend, "hi", "-n", "2", "-t", "0",
                      "--context", "64")  # fmt: skip
        assert ran[0] == 0, ran[2]
    assert "already exists" in mambino("tune", str(notes), "-m", str(model), "-o", str(out))[2]
