"""Reports and comparisons of whole runs."""

import json
from pathlib import Path

import pytest

from evals.players import told
from mambino.cli.main import exit_code
from mambino.errors import InputError
from mambino.evals.comparison import compare_runs
from mambino.evals.report import write_report
from mambino.evals.runner import Results, run
from mambino.evals.task import AnswerJson, Sample, Share, Task, Verdict, response_text, user

NASTY = "<script>alert(1)</script>"


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    return Verdict(shares={"accuracy": Share(part=float(response_text(answer) == sample.id))})


def results(folder: Path, right: int) -> Results:
    """40 samples, the first `right` of them answered rightly; the last has no answer."""
    samples = tuple(Sample(id=str(i), messages=user(str(i))) for i in range(40))
    task = Task(name="count", samples=samples, score=score, metrics=("accuracy",))

    def answer(prompt: str) -> str | InputError:
        return InputError(NASTY) if prompt == "39" else prompt if int(prompt) < right else NASTY

    return run(task, told(answer), folder, settings={})


def test_a_report_has_values_reasons_and_examples_and_no_markup_of_the_model(tmp_path: Path) -> None:
    markdown, page = write_report(tmp_path, [results(tmp_path, 10)])
    assert "| accuracy | 25.6 % (" in markdown.read_text()
    assert "1 x <script>" in markdown.read_text()
    html = page.read_text()
    assert NASTY not in html
    assert "&lt;script&gt;" in html
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary[0]["metrics"]["accuracy"]["samples"] == 39
    assert summary[0]["unscored"] == {NASTY: 1}


def test_the_page_has_a_plot_where_matplotlib_is(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    _, page = write_report(tmp_path, [results(tmp_path, 10)])
    assert "<svg" in page.read_text()


def test_a_better_run_is_found_better(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results(tmp_path / "a", 10)
    results(tmp_path / "b", 20)
    (row,) = compare_runs(tmp_path / "a", tmp_path / "b")
    assert row.difference.low > 0
    assert row.difference.value == pytest.approx(10 / 39)
    assert exit_code(["eval", "--compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["p"] < 0.05
    assert exit_code(["eval", "--compare", str(tmp_path / "a"), str(tmp_path / "b" / "count.jsonl")]) == 0
    assert "B is higher" in capsys.readouterr().out


def test_runs_without_a_common_suite_are_refused(tmp_path: Path) -> None:
    results(tmp_path / "a", 10)
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="no transcripts here"):
        compare_runs(tmp_path / "a", tmp_path / "b")
