"""A run: kept, resumed, and never stopped by what one sample does."""

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from evals.players import Told, told
from mambino.errors import FetchError, InputError
from mambino.evals.runner import run
from mambino.evals.task import AnswerJson, Player, Sample, Share, Task, Verdict, response_text, user
from mambino.evals.transcripts import read_transcripts


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    text = response_text(answer)
    if text == "raise":
        raise ZeroDivisionError("boom")
    return Verdict(shares={"accuracy": Share(part=float(text == sample.data["want"]))})


def task_of(*wants: str) -> Task:
    samples = tuple(
        Sample(id=str(i), messages=user(f"say {want}"), data={"want": want}) for i, want in enumerate(wants)
    )
    return Task(name="echo", samples=samples, score=score, metrics=("accuracy",))


def echo(prompt: str) -> str:
    return prompt.removeprefix("say ")


def test_right_and_wrong_answers_are_averaged(tmp_path: Path) -> None:
    results = run(task_of("a", "b", "c", "d"), told(lambda p: "a"), tmp_path, settings={})
    assert results.metrics["accuracy"].value == 0.25
    assert results.metrics["accuracy"].low <= 0.25 <= results.metrics["accuracy"].high


def test_what_cannot_be_scored_is_counted_with_its_reason_and_never_as_zero(tmp_path: Path) -> None:
    answers = {"say a": "a", "say b": "b and on and on...", "say c": "raise", "say d": InputError("[context] full")}
    results = run(task_of("a", "b", "c", "d"), told(lambda p: answers[p]), tmp_path, settings={})
    assert results.metrics["accuracy"].value == 1.0
    assert results.metrics["accuracy"].samples == 1
    assert sorted(results.unscored) == [
        "[context] full",
        "the answer did not come to an end (length)",
        "the verifier raised ZeroDivisionError('boom')",
    ]


def test_cut_answers_are_scored_when_asked(tmp_path: Path) -> None:
    player = Player(responder=Told(lambda p: "b..."), scores_unfinished=True)
    results = run(task_of("b..."), player, tmp_path, settings={})
    assert results.metrics["accuracy"].value == 1.0


def test_a_second_run_asks_only_for_what_has_no_answer(tmp_path: Path) -> None:
    first = told(lambda p: InputError("no") if p == "say b" else echo(p))
    run(task_of("a", "b", "c"), first, tmp_path, settings={"seed": 0})
    second = Told(echo)
    results = run(task_of("a", "b", "c"), Player(responder=second), tmp_path, settings={"seed": 0})
    assert [request.messages[-1].content for request in second.requests] == ["say b"]
    assert results.metrics["accuracy"].value == 1.0
    assert list(results.records) == ["0", "1", "2"]


def test_a_verdict_that_was_missing_is_made_up_for_without_asking_again(tmp_path: Path) -> None:
    run(task_of("raise"), told(echo), tmp_path, settings={})
    mended = replace(task_of("raise"), score=lambda sample, answer: Verdict(shares={"accuracy": Share(part=1)}))
    silent = Told(lambda p: InputError("asked again"))
    results = run(mended, Player(responder=silent), tmp_path, settings={})
    assert results.metrics["accuracy"].value == 1.0
    assert not silent.requests
    _, records = read_transcripts(tmp_path / "echo.jsonl")
    assert not records[-1].verdict.unscored


def test_another_kind_of_run_is_not_mixed_in(tmp_path: Path) -> None:
    run(task_of("a"), told(echo), tmp_path, settings={"seed": 0})
    with pytest.raises(InputError, match=r"another kind.*seed"):
        run(task_of("a"), told(echo), tmp_path, settings={"seed": 1})


def test_half_a_last_line_is_forgotten(tmp_path: Path) -> None:
    run(task_of("a", "b"), told(echo), tmp_path, settings={})
    path = tmp_path / "echo.jsonl"
    path.write_text(path.read_text()[:-20])
    _, records = read_transcripts(path)
    assert [record.id for record in records] == ["0"]
    again = Told(echo)
    run(task_of("a", "b"), Player(responder=again), tmp_path, settings={})
    assert len(again.requests) == 1


def test_a_dead_endpoint_ends_the_run_with_a_word_and_keeps_what_was_done(tmp_path: Path) -> None:
    alive = {"say a"}
    with pytest.raises(FetchError, match="1 of 6 samples are done, and the same command goes on"):
        run(task_of(*"abcdef"), told(lambda p: echo(p) if p in alive else None), tmp_path, settings={})
    results = run(task_of(*"abcdef"), told(echo), tmp_path, settings={})
    assert results.metrics["accuracy"].samples == 6


def test_one_lost_request_does_not_end_the_run(tmp_path: Path) -> None:
    results = run(task_of(*"abc"), told(lambda p: None if p == "say b" else echo(p)), tmp_path, settings={})
    assert results.metrics["accuracy"].samples == 2
    assert len(results.unscored) == 1


def test_a_full_disk_ends_the_run_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mambino.evals import transcripts

    class Full:
        def write(self, text: str) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def flush(self) -> None: ...
        def close(self) -> None: ...

    real = transcripts.Transcripts.__init__

    def full(self: transcripts.Transcripts, path: Path, header: transcripts.Header) -> None:
        real(self, path, header)
        self._stream.close()
        self._stream = Full()  # type: ignore[assignment]

    monkeypatch.setattr(transcripts.Transcripts, "__init__", full)
    with pytest.raises(InputError, match=r"No space left.*run the same command again"):
        run(task_of("a"), told(echo), tmp_path, settings={})


def test_transcripts_keep_the_answers(tmp_path: Path) -> None:
    run(task_of("a"), told(echo), tmp_path, settings={})
    rows = [json.loads(line) for line in (tmp_path / "echo.jsonl").read_text().splitlines()]
    assert rows[0]["header"]["suite"] == "echo"
    assert rows[1]["answer"]["response"] == "a"


def test_a_file_that_is_no_transcript_is_named(tmp_path: Path) -> None:
    (tmp_path / "echo.jsonl").write_text("hello\n")
    with pytest.raises(InputError, match=r"echo\.jsonl is no transcript"):
        run(task_of("a"), told(echo), tmp_path, settings={})
