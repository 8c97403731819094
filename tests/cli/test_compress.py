"""`mambino compress`, from a large model to a small file that runs: every step over real files, in seconds."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.tiny_file import write_tiny_directory
from compress_models import BLOCKY
from mambino.config import HybridConfig
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.load import open_model
from tiny_models import tiny_weights

pytestmark = pytest.mark.torch

STORY = "one two three four five six seven eight nine ten "


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder whose widths are whole blocks, with the tiny tokenizer."""
    folder = tmp_path_factory.mktemp("compress")
    tokenizer = write_tiny_directory(folder / "tokenizer")
    vocab_size = open_checkpoint(tokenizer).config.vocab_size
    config = HybridConfig(
        architecture="nemotron_h", layers=BLOCKY.layers, hidden_size=BLOCKY.hidden_size, vocab_size=vocab_size,
        norm_eps=1e-5, tie_embeddings=False, max_context=512, eos_token_ids=(257,),
    )  # fmt: skip
    write_checkpoint_directory(folder / "big", config, tiny_weights(config).values(), tokenizer_from=tokenizer)
    other = tiny_weights(config, seed=1).values()
    write_checkpoint_directory(folder / "other", config, other, tokenizer_from=tokenizer)
    padded = replace(config, vocab_size=vocab_size + 8)  # the same tokenizer, more rows
    write_checkpoint_directory(folder / "padded", padded, tiny_weights(padded).values(), tokenizer_from=tokenizer)
    lines = [json.dumps({"text": STORY[start % 40 :] + STORY}) for start in range(60)]
    (folder / "text.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "more.jsonl").write_text("\n".join(lines[:40]), encoding="utf-8")
    write_tiny_directory(folder / "foreign")  # of another tokenizer
    vocabulary = json.loads((folder / "foreign/tokenizer.json").read_text())
    vocabulary["added_tokens"][-1]["content"] = "<|other|>"
    (folder / "foreign/tokenizer.json").write_text(json.dumps(vocabulary))
    return folder


def text(parent: Path) -> tuple[str, ...]:
    return ("--data", str(parent / "text.jsonl"), "--rows", "1", "--row-size", "48")


@pytest.fixture(scope="module")
def ranked(parent: Path) -> Path:
    from mambino.cli.main import exit_code

    out = parent / "ranked"
    assert exit_code(["compress", "rank", str(parent / "big"), *text(parent), "--batches", "1", "--out", str(out)]) == 0
    return out


def test_rank_keeps_the_function_and_writes_its_scores(parent: Path, ranked: Path) -> None:
    tokens = np.arange(12, dtype=np.int32)
    before, after = (open_model(folder, backend="torch").score(tokens) for folder in (parent / "big", ranked))
    np.testing.assert_allclose(after, before, atol=1e-4)  # float32, other order of sums
    assert sorted(json.loads((ranked / "ranking/ranking.json").read_text())["depth_order"]) == [0, 1, 2, 3, 4]


def test_one_long_text_is_read_in_pieces(mambino: Any, parent: Path, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\ufeff" + 40 * (STORY + "\u2028"), encoding="utf-8")
    lines = tmp_path / "book.jsonl"
    lines.write_text("\ufeff" + json.dumps({"text": book.read_text("utf-8-sig")}, ensure_ascii=False), encoding="utf-8")
    one_row = ("--data", str(book), "--data", str(lines), "--rows", "1", "--row-size", "48", "--batches", "1")
    code, _, err = mambino("compress", "rank", str(parent / "big"), *one_row, "--out", str(tmp_path / "out"))
    assert code == 0, err


def test_train_then_slice_then_run(mambino: Any, parent: Path, ranked: Path, tmp_path: Path) -> None:
    nested, small = tmp_path / "nested", tmp_path / "small.gguf"
    train = ("compress", "train", str(ranked), *text(parent), "--budget", "60%", "--search", "largest",
             "--stage", "2x32", "--stage", "1x48:50/50", "--out", str(nested))  # fmt: skip
    code, out, err = mambino(*train)
    assert code == 0, err
    assert out == f"{nested}\n"
    assert "60%" in err
    assert "KL to the teacher" in err
    assert (tmp_path / "nested.run/stage-2/log.jsonl").exists()

    assert "60%" in mambino("compress", "slice", str(nested))[1]
    code, _, err = mambino("compress", "slice", str(nested), "--budget", "60%", "--out", str(small), "--mix", "q8_0")
    assert code == 0, err
    tokens = np.arange(12, dtype=np.int32)
    cut = open_model(small, backend="torch").score(tokens)
    nested_view = open_model(nested, backend="torch", budget="60%").score(tokens)
    assert np.corrcoef(cut.ravel(), nested_view.ravel())[0, 1] > 0.999  # Q8_0 rounding
    assert cut.shape == nested_view.shape
    code, out, err = mambino("run", "-m", str(nested), "--budget", "60%", "--raw", "-n", "3", "one two")
    assert code == 0, err
    code, _, err = mambino("run", "-m", str(nested), "--budget", "40%", "--raw", "-n", "3", "one two")
    assert (code, "expected one of 100%" in err) == (1, True)
    code, _, err = mambino("compress", "slice", str(nested), "--budget", "60%", "--out", str(small))
    assert code == 1
    assert "already exists" in err


def test_train_says_before_it_starts_what_cannot_be(mambino: Any, parent: Path, ranked: Path, tmp_path: Path) -> None:
    base = ("compress", "train", str(ranked), *text(parent), "--out", str(tmp_path / "x"))
    for more, message in (
        (("--budget", "1%"), "the cheapest combination costs"),
        (("--budget", "half"), "expected a share such as 50%"),
        ((), "at least one --budget"),
        (("--budget", "60%", "--stage", "many"), "expected STEPSxTOKENS"),
        (("--budget", "60%", "--stage", "9x32:1/2/3"), "expected 2 shares"),
        (("--budget", "60%", "--stage", "9x32:nan/50"), "shares"),
        (("--budget", "60%", "--stage", "9x32:0/50"), "shares"),
        (("--budget", "60%", "--budget", "60%"), "given twice"),
        (("--budget", "60%", "--seed", "-1"), "--seed"),
        (("--budget", "60%", "--count", "latency"), "needs --latency-table"),
    ):
        code, _, err = mambino(*base, *more)
        assert code in (1, 2)
        assert message in err
    code, out, _ = mambino(*base, "--budget", "60%", "--dry-run")
    assert code == 0
    assert "h here" in out
    assert not (tmp_path / "x").exists()


def test_plan_lists_sizes_that_fit(mambino: Any, parent: Path) -> None:
    code, out, err = mambino("compress", "plan", str(parent / "big"), "--budget", "60%", "--json")
    assert code == 0, err
    (plan,) = json.loads(out)
    assert all(size["parameters"] <= plan["limit"] for size in plan["sizes"])
    assert "H100" in mambino("compress", "plan", str(parent / "big"), "--budget", "60%")[1]


def test_distill_onto_a_grid(mambino: Any, parent: Path, tmp_path: Path) -> None:
    out = tmp_path / "taught"
    code, _, err = mambino("compress", "distill", str(parent / "big"), str(parent / "big"), *text(parent),
                           "--steps", "1", "--mix", "q8_0", "--out", str(out))  # fmt: skip
    assert code == 0, err
    assert "KL to the teacher" in err
    assert open_checkpoint(out).config == open_checkpoint(parent / "big").config


def test_distill_from_stored_words_goes_on_where_it_was(mambino: Any, parent: Path, tmp_path: Path) -> None:
    args = ("compress", "distill", str(parent / "big"), str(parent / "big"), *text(parent), "--steps", "2",
            "--stored", "20", "--folder", str(tmp_path / "run"))  # fmt: skip
    code, _, err = mambino(*args, "--out", str(tmp_path / "taught"))
    assert code == 0, err
    assert "teacher: 2 of 2 batches" in err
    code, _, err = mambino(*args, "--out", str(tmp_path / "again"))
    assert (code, "teacher:" in err) == (0, False)
    assert mambino(*args, "--out", str(tmp_path / "x"), "--mix", "q8_0")[0] == 2


@pytest.mark.parametrize("more", [("--stored", "12"), ("--seed", "1"), ("--steps", "3"), ("--target-weight", "0.5")])
def test_a_folder_of_another_distillation_is_refused(
    more: tuple[str, ...], mambino: Any, parent: Path, tmp_path: Path
) -> None:
    """As is one of another teacher or student, and one that holds a run of which nothing is known."""
    args = ("compress", "distill", *text(parent), "--steps", "1", "--folder", str(tmp_path / "run"), "--stored", "20",
            "--out", str(tmp_path / "out"))  # fmt: skip
    big, other = str(parent / "big"), str(parent / "other")
    if "--target-weight" in more:
        args = args[:-4] + args[-2:]
    assert mambino(*args, big, big)[0] == 0
    (tmp_path / "out").rename(tmp_path / "done")
    for wrong in ((*args, big, big, *more), (*args, other, big), (*args, big, other)):
        code, _, err = mambino(*wrong)
        assert code == 1
        assert "run: holds a run on other data or with other settings; choose a fresh --folder" in err
        assert "teacher:" not in err
    (tmp_path / "run/run.sha256").unlink()
    assert "holds a run" in mambino(*args, big, big)[2]


def test_a_folder_of_another_training_is_refused_before_anything_is_searched(
    mambino: Any, parent: Path, ranked: Path, tmp_path: Path
) -> None:
    args = ("compress", "train", str(ranked), *text(parent), "--budget", "60%", "--search", "largest",
            "--stage", "1x32", "--folder", str(tmp_path / "run"), "--out", str(tmp_path / "out"))  # fmt: skip
    assert mambino(*args)[0] == 0
    (tmp_path / "out").rename(tmp_path / "done")
    for more in (
        ("--data", str(parent / "more.jsonl")), ("--rows", "2"), ("--seed", "1"), ("--learning-rate", "0.1"),
        ("--stage", "1x48"), ("--budget", "50%"), ("--sandwich",), ("--search", "trials"),
        ("--teacher", str(parent / "other")),
    ):  # fmt: skip
        code, _, err = mambino(*args, *more)
        assert code == 1, more
        assert "holds a run on other data or with other settings" in err
        assert "looking at" not in err
    code, _, err = mambino(*args, "--accumulate", "2")
    assert code == 0, err


def test_one_step_is_one_step(mambino: Any, parent: Path, ranked: Path, tmp_path: Path) -> None:
    big = str(parent / "big")
    mambino("compress", "distill", big, big, *text(parent), "--steps", "1", "--out", str(tmp_path / "a"))
    mambino("compress", "train", str(ranked), *text(parent), "--budget", "60%", "--search", "largest",
            "--stage", "1x32", "--stage", "2x32", "--out", str(tmp_path / "b"))  # fmt: skip
    for folder, steps in (("a.run", 1), ("b.run/stage-1", 1), ("b.run/stage-2", 2)):
        assert json.loads((tmp_path / folder / "log.jsonl").read_text().splitlines()[-1])["step"] == steps


def test_memory_is_saved_as_the_message_says(mambino: Any, parent: Path, ranked: Path, tmp_path: Path) -> None:
    """Passes of fewer rows, and what passes between layers computed twice: the same steps."""
    big, two_rows = str(parent / "big"), (*text(parent), "--rows", "2")
    taught = ("compress", "distill", big, str(parent / "other"), *two_rows, "--steps", "2")
    nested = ("compress", "train", str(ranked), *two_rows, "--budget", "60%", "--search", "largest", "--stage", "2x32")
    for name, args in (
        ("plain", taught), ("parts", (*taught, "--accumulate", "2", "--recompute")),
        ("stored", (*taught, "--stored", "20", "--accumulate", "2")),
        ("nested", nested), ("nested parts", (*nested, "--accumulate", "2", "--recompute")),
        ("grid", (*taught, "--mix", "q8_0")), ("grid parts", (*taught, "--mix", "q8_0", "--recompute")),
    ):  # fmt: skip
        code, _, err = mambino(*args, "--out", str(tmp_path / name))
        assert code == 0, err
    for plain, saved in (("plain", "parts"), ("nested", "nested parts"), ("grid", "grid parts")):
        wanted, got = (open_checkpoint(tmp_path / name).tensors("hf") for name in (plain, saved))
        for own, tensor in wanted.items():
            np.testing.assert_allclose(got[own].to_float32(), tensor.to_float32(), atol=1e-4)  # other order of sums


@pytest.mark.parametrize(("name", "message"), [("foreign", "have different tokenizers"), ("padded", "vocab_size: the")])
def test_a_teacher_of_other_ids_is_refused_before_anything_is_read(
    name: str, message: str, mambino: Any, parent: Path, ranked: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{")
    teacher, train = str(parent / name), ("train", str(ranked), "--budget", "60%")
    for args in (
        ("distill", teacher, str(parent / "big")),
        (*train, "--search", "router", "--teacher", teacher),
        (*train, "--teacher", teacher, "--dry-run"),
    ):
        code, _, err = mambino("compress", *args, "--data", str(broken), "--out", str(tmp_path / "x"))
        assert code == 1
        assert message in err


def operations(out: str) -> list[float]:
    return [float(number) for number in re.findall(r"([\d.e+]+) operations", out)]


def test_a_dry_run_counts_what_every_step_trains(mambino: Any, parent: Path, ranked: Path) -> None:
    base = ("compress", "train", str(ranked), *text(parent), "--budget", "80%", "--budget", "50%", "--dry-run",
            "--out", str(parent / "x"))  # fmt: skip

    def counted(*more: str) -> float:
        code, out, err = mambino(*base, *more)
        assert code == 0, err
        return operations(out)[0]

    whole, small = (counted("--stage", f"100x48:{shares}") for shares in ("98/1/1", "1/1/98"))
    assert small < 0.8 * whole
    assert counted("--stage", "100x48:1/1/1", "--sandwich") > 1.5 * whole
    teacher = counted("--stage", "100x48:98/1/1", "--teacher", str(parent / "other"))
    assert teacher == whole  # of the same size


def test_without_pytorch_plan_works_and_training_says_what_is_missing(parent: Path, ranked: Path) -> None:
    blocked = "import sys; sys.modules['torch'] = None; from mambino.cli.main import main; main()"
    plan = ("plan", str(parent / "big"), "--budget", "60%")
    train = ("train", str(ranked), *text(parent), "--budget", "60%", "--out", str(parent / "x"), "--dry-run")
    planned, trained = (
        subprocess.run([sys.executable, "-c", blocked, "compress", *args], capture_output=True, text=True,
                       env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        for args in (plan, train)
    )  # fmt: skip
    assert (planned.returncode, "H100" in planned.stdout) == (0, True), planned.stderr
    assert trained.returncode == 1
    assert "pip install 'mambino[train]'" in trained.stderr
    assert "Traceback" not in trained.stderr


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["train", "distill"])
def test_two_processes_teach_what_one_does(verb: str, mambino: Any, parent: Path, ranked: Path, tmp_path: Path) -> None:
    big, two_rows = str(parent / "big"), (*text(parent), "--rows", "2")
    args = {
        "train": ("train", str(ranked), *two_rows, "--budget", "60%", "--stage", "2x32", "--stage", "1x48"),
        "distill": ("distill", big, str(parent / "other"), *two_rows, "--steps", "3"),
    }[verb]
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "mambino.cli", "compress")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def in_two(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *torchrun, *args, *more]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)

    assert mambino("compress", *args, "--out", str(tmp_path / "one"))[0] == 0
    done = in_two("--out", str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == f"{tmp_path / 'two'}\n"
    assert done.stderr.count("KL to the teacher") == (2 if verb == "train" else 1)  # of every size, said once
    logs = [sorted((tmp_path / f"{name}.run").rglob("log.jsonl")) for name in ("one", "two")]
    wanted, got = ([json.loads(log.read_text().splitlines()[-1])["loss"] for log in each] for each in logs)
    assert got == pytest.approx(wanted, rel=1e-3)  # float32, other order of sums
    code, _, err = mambino("compress", *args, "--folder", str(tmp_path / "two.run"), "--out", str(tmp_path / "x"))
    assert (code, "holds a run" in err) == (1, True)  # it saved shards
    assert "--rows 3: do not divide among 2 processes" in in_two("--rows", "3", "--out", str(tmp_path / "x")).stderr


@pytest.mark.native
@pytest.mark.slow
def test_latency_is_measured_and_searched(mambino: Any, parent: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    code, _, err = mambino("compress", "latency", str(parent / "big"), "--threads", "1", "--out", str(table))
    assert code == 0, err
    # All of it always fits; what a smaller share allows depends on how quiet the machine was.
    limit = ("--count", "latency", "--latency-table", str(table), "--budget", "100%")
    code, out, err = mambino("compress", "plan", str(parent / "big"), *limit, "--json")
    assert code == 0, err
    assert json.loads(out)[0]["limit"] > 0
