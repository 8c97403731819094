"""grpo: tasks in, a model and its health out; refusals before anything is opened for training."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.tiny_file import write_tiny_directory

pytestmark = pytest.mark.torch

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    row = {"answer": "yes", "responses_create_params": {"input": "Well?"}}
    path.write_text("\n".join(json.dumps(row) for _ in range(3)))
    return path


@pytest.mark.parametrize("sampler", ["--engine", "--torch"])
def test_a_run_leaves_a_model_its_health_and_a_picture(mambino: Run, tmp_path: Path, tasks: Path, sampler: str) -> None:
    model, out = write_tiny_directory(tmp_path / "model"), tmp_path / "out"
    code, text, err = mambino(
        "grpo", str(tasks), "-m", str(model), "-o", str(out), "--steps", "1", "--prompts", "1", "--group", "2",
        "-n", "3", sampler, "--json",
    )  # fmt: skip
    assert code == 0, err
    assert "3 tasks of abstention" in err
    assert "step 1/1" in err
    (line,) = Path(json.loads(text)["health"]).read_text().splitlines()
    assert json.loads(line)["trajectories"] == 6  # three draws: groups without a difference are replaced
    assert (tmp_path / "out.run/health.png").is_file()
    assert mambino("info", str(out))[0] == 0


def test_wrong_shares_and_rows_without_a_verifier_are_refused(mambino: Run, tmp_path: Path, tasks: Path) -> None:
    arguments = ("-m", str(write_tiny_directory(tmp_path / "model")), "-o", str(tmp_path / "out"))
    assert "expected NAME=NUMBER" in mambino("grpo", str(tasks), *arguments, "--share", "abstention=x")[2]
    assert "the tasks are of abstention" in mambino("grpo", str(tasks), *arguments, "--share", "games=1")[2]
    tasks.write_text('{"what": 1, "responses_create_params": {"input": "Well?"}}')
    assert "no verifier here" in mambino("grpo", str(tasks), *arguments)[2]
    assert not (tmp_path / "out").exists()
