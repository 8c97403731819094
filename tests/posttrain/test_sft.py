"""Fine-tuning learns the answers, varies reasoning by seed, refuses bad files before any compute, and resumes."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conversations import answer, chats, row, user
from mambino.chat.prompt import PromptEncoder
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.posttrain.sft import SftSettings, fine_tune, prepare, vary_reasoning
from mambino.train.loop import LoopSettings
from mambino.train.metrics import held_out_loss
from tiny_chat import tiny_chat_config, tiny_tokenizer

pytestmark = pytest.mark.torch

SETTINGS = SftSettings(learning_rate=1e-2, epochs=8, rows=2, row_size=128, held_out_share=0.2, seed=3)


def test_the_report_counts_what_is_learnt_held_out_and_too_long(tmp_path: Path) -> None:
    prepared = prepare(chats(tmp_path / "c.jsonl", long_line=4), PromptEncoder(tiny_tokenizer()), SETTINGS)
    report = prepared.report
    assert (report.rows, report.sequences, report.held_out, report.too_long) == (10, 9, 2, (4,))
    assert len(prepared.training) == 7
    assert 0 < report.trained_tokens < report.tokens
    assert report.row_size == 64
    assert report.longest <= report.row_size


def test_a_bad_row_stops_everything_and_template_faults_are_listed_too(tmp_path: Path) -> None:
    path = chats(tmp_path / "c.jsonl", 3)
    path.write_text(path.read_text() + "\n{}")
    with pytest.raises(InputError, match=r"4 faults(?s:.*)line 1: .*no element 1(?s:.*)line 4: expected"):
        prepare(path, PromptEncoder(tiny_tokenizer("{{ messages[0].content }}{{ messages[1].content }}")), SETTINGS)


def test_shares_of_rows_lose_or_cut_their_reasoning_the_same_ones_every_time() -> None:
    settings = replace(SETTINGS, stripped_share=0.3, cut_share=0.2)
    rows = [replace(row(user("A"), answer("B", "one two three")), line=line) for line in range(1, 401)]
    varied = [vary_reasoning(one, settings) for one in rows]
    assert varied == [vary_reasoning(one, settings) for one in rows]
    assert abs(sum(one.was_stripped for one in varied) - 120) < 40  # 4 standard deviations
    assert abs(sum(one.was_cut for one in varied) - 80) < 32
    for one in varied:
        reasoning = one.row.messages[1].reasoning
        assert reasoning in ({None} if one.was_stripped else {"one", "one two"} if one.was_cut else {"one two three"})


def test_a_model_learns_the_answers_and_a_cut_run_ends_as_the_whole_one(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    prepared = prepare(chats(tmp_path / "c.jsonl"), PromptEncoder(tokenizer), SETTINGS)

    def fresh() -> HybridLM:
        return HybridLM(tiny_chat_config(tokenizer), generator=torch.Generator().manual_seed(1))

    whole, cut = fresh(), fresh()
    before = held_out_loss(whole, prepared.held_out)
    loop = LoopSettings(keep_every_steps=9, log_every_steps=50)
    fine_tune(whole, prepared, SETTINGS, folder=tmp_path / "whole", loop=loop, progress_to=io.StringIO())
    assert held_out_loss(whole, prepared.held_out) < 0.6 * before

    (tmp_path / "cut").mkdir()
    for name, saved in (("latest.pt", "step-9.pt"), ("run.sha256", "run.sha256")):
        (tmp_path / "cut" / name).write_bytes((tmp_path / "whole" / saved).read_bytes())
    fine_tune(cut, prepared, SETTINGS, folder=tmp_path / "cut", loop=loop, progress_to=io.StringIO())
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), cut.state_dict()[name].numpy(), err_msg=name)


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    settings = replace(SETTINGS, epochs=0.1)
    prepared = prepare(chats(tmp_path / "c.jsonl"), PromptEncoder(tokenizer), settings)
    model = HybridLM(tiny_chat_config(tokenizer))
    fine_tune(model, prepared, settings, folder=tmp_path / "run", progress_to=io.StringIO())
    with pytest.raises(InputError, match="other settings"):
        fine_tune(model, prepared, replace(settings, seed=4), folder=tmp_path / "run", progress_to=io.StringIO())
