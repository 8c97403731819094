"""dpo: pairs in, a model and its health out; faults by line, nothing overwritten."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.tiny_file import write_tiny_directory

pytestmark = pytest.mark.torch

Run = Callable[..., tuple[int, str, str]]


def write_pairs(path: Path, count: int, *, length: int = 1) -> Path:
    rows = [
        {"messages": [{"role": "user", "content": f"{index}?"}],
         "chosen": {"role": "assistant", "content": "I do not know. " * length},
         "rejected": {"role": "assistant", "content": f"It is {index}!"}}
        for index in range(count)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_run_prefers_the_chosen_on_held_out_pairs_too(mambino: Run, tmp_path: Path) -> None:
    model, out = write_tiny_directory(tmp_path / "model"), tmp_path / "out"
    pairs = write_pairs(tmp_path / "pairs.jsonl", 10)
    code, text, err = mambino(
        "dpo", str(pairs), "-m", str(model), "-o", str(out), "--pairs", "4", "--epochs", "2", "--held-out", "0.2",
        "--learning-rate", "3e-3", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert "8 pairs to learn from, 2 held out; 4 steps of 4" in err
    assert "step 4/4" in err
    assert json.loads(text)["held_out_preferred"] == 1.0
    assert len((tmp_path / "out.run/health.jsonl").read_text().splitlines()) == 4
    assert mambino("info", str(out))[0] == 0
    assert "already exists" in mambino("dpo", str(pairs), "-m", str(model), "-o", str(out))[2]


def test_pairs_with_faults_and_pairs_too_long_are_refused(mambino: Run, tmp_path: Path) -> None:
    model = str(write_tiny_directory(tmp_path / "model"))
    arguments = ("-m", model, "-o", str(tmp_path / "out"))
    long = write_pairs(tmp_path / "long.jsonl", 2, length=20)
    assert "every pair is longer than 32 tokens" in mambino("dpo", str(long), *arguments, "--row-size", "32")[2]
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"messages": []}\n{\n')
    code, _, err = mambino("dpo", str(broken), *arguments)
    assert code == 1
    assert "line 1" in err
    assert "line 2" in err
    broken.write_bytes(b"\xff\xfe{")
    assert "not UTF-8" in mambino("dpo", str(broken), *arguments)[2]
    assert not (tmp_path / "out").exists()
