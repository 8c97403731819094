"""`mambino compress`, from a large model to a small file that runs: every step over real files, in seconds."""

import json
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
    lines = [json.dumps({"text": STORY[start % 40 :] + STORY}) for start in range(60)]
    (folder / "text.jsonl").write_text("\n".join(lines), encoding="utf-8")
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
    assert mambino(*args, "--out", "x", "--mix", "q8_0")[0] == 2


def test_distill_needs_one_tokenizer(mambino: Any, parent: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write_tiny_directory(other)
    vocabulary = json.loads((other / "tokenizer.json").read_text())
    vocabulary["added_tokens"][-1]["content"] = "<|other|>"
    (other / "tokenizer.json").write_text(json.dumps(vocabulary))
    code, _, err = mambino("compress", "distill", str(parent / "big"), str(other), *text(parent), "--out", "x")
    assert code == 1
    assert "have different tokenizers" in err


@pytest.mark.native
@pytest.mark.slow
def test_latency_is_measured_and_searched(mambino: Any, parent: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.json"
    code, _, err = mambino("compress", "latency", str(parent / "big"), "--threads", "1", "--out", str(table))
    assert code == 0, err
    # All of it always fits; what a smaller share allows depends on how quiet the machine was (see test_latency.py).
    limit = ("--count", "latency", "--latency-table", str(table), "--budget", "100%")
    code, out, err = mambino("compress", "plan", str(parent / "big"), *limit, "--json")
    assert code == 0, err
    assert json.loads(out)[0]["limit"] > 0
