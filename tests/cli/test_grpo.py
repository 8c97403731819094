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


def test_a_verifier_of_one_s_own_judges_one_s_own_rows(mambino: Run, tmp_path: Path) -> None:
    model, rows = write_tiny_directory(tmp_path / "model"), tmp_path / "rows.jsonl"
    rows.write_text(
        '{"prompt": "1+1?", "wanted": 2}\n{"messages": [{"role": "user", "content": "2+2?"}], "wanted": 4}\n'
    )
    verifier = tmp_path / "sums.py"
    verifier.write_text("def verify(row, answer):\n    return min(1.0, len(answer) % 7 / 6 * bool(row['wanted']))\n")
    arguments = ("grpo", str(rows), "--verifier", str(verifier), "-m", str(model), "--steps", "1", "--prompts", "2")
    code, _, err = mambino(*arguments, "-o", str(tmp_path / "out"), "--group", "4", "-n", "4")
    assert code == 0, err
    assert "2 tasks of sums" in err
    (line,) = (tmp_path / "out.run/health.jsonl").read_text().splitlines()
    assert json.loads(line)["unscored"] == 0
    verifier.write_text("x = 1\n")
    assert "expected a function verify(row, answer)" in mambino(*arguments, "-o", str(tmp_path / "out2"))[2]
    verifier.write_text("def verify(row, answer:\n")
    assert "sums.py" in mambino(*arguments, "-o", str(tmp_path / "out2"))[2]


def test_worlds_need_no_files(mambino: Run, tmp_path: Path) -> None:
    model = write_tiny_directory(tmp_path / "model")
    code, _, err = mambino(
        "grpo", "--world", "puzzle", "--world", "home", "--episodes", "2", "-m", str(model), "-o",
        str(tmp_path / "out"), "--steps", "1", "--prompts", "2", "--group", "2", "-n", "3",
    )  # fmt: skip
    assert code == 0, err
    assert "2 tasks of puzzle, 2 tasks of home" in err
    assert "name TASKS or a --world" in mambino("grpo", "-m", str(model), "-o", str(tmp_path / "out3"))[2]
