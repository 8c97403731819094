"""mambino run: what goes where, and what the exit code says."""

import json
from typing import Any

import pytest

from tiny_chat import ReplyLM


def test_the_answer_and_nothing_else_goes_to_standard_output(mambino: Any, script: Any) -> None:
    script("hello the end")
    assert mambino("run", "hi") == (0, "hello the end\n", "")


def test_words_need_no_quotes_and_options_may_stand_anywhere(mambino: Any, script: Any) -> None:
    model = script("hello")
    assert mambino("run", "say", "-t", "0", "the", "word", "-m", "any")[0] == 0
    assert "user\nsay the word" in prompt_of(model)


def prompt_of(model: ReplyLM) -> str:
    """The text of everything that the last state absorbed."""
    from tiny_chat import tiny_tokenizer

    return tiny_tokenizer().decode(model.last_absorbed)


@pytest.mark.parametrize(
    ("words", "stdin", "expected"),
    [
        ([], "from a pipe\n", "user\nfrom a pipe<|im_end|>"),
        (["-"], "two\nlines\n", "user\ntwo\nlines<|im_end|>"),
        (["Sum", "up:", "-"], "notes\n", "user\nSum up:\n\nnotes<|im_end|>"),
        (["-", "And", "now?"], "notes", "user\nnotes\n\nAnd now?<|im_end|>"),
        (["only", "this"], "ignored", "user\nonly this<|im_end|>"),
        (["--", "--dash"], "", "user\n--dash<|im_end|>"),
    ],
)
def test_a_dash_or_nothing_means_standard_input(
    mambino: Any, script: Any, words: list[str], stdin: str, expected: str
) -> None:
    model = script("hello")
    assert mambino("run", *words, stdin=stdin)[0] == 0
    assert expected in prompt_of(model)


@pytest.mark.parametrize("stdin", ["", "\n", "  \n"])
def test_an_empty_prompt_is_wrong_usage(mambino: Any, script: Any, stdin: str) -> None:
    script("hello")
    code, out, err = mambino("run", stdin=stdin)
    assert (code, out) == (2, "")
    assert "the prompt is empty" in err
    assert "mambino run --help" in err


def test_input_that_is_not_text_is_wrong_usage(mambino: Any, script: Any) -> None:
    script("hello")
    code, _, err = mambino("run", stdin=b"ok \xff")
    assert code == 2
    assert "not UTF-8 text (byte 3)" in err


def test_json_says_everything_a_program_needs(mambino: Any, script: Any) -> None:
    script("hello the", defaults={"temperature": 0.3, "top_k": 20})
    code, out, err = mambino("run", "hi", "--json", "--seed", "7", "--logprobs", "2", "--top-k", "5")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert report["text"] == "hello the"
    assert report["reasoning"] is None
    assert report["finish_reason"] == "stop"
    assert len(report["ids"]) == report["usage"]["completion_tokens"] == len(report["logprobs"])
    assert report["usage"]["total_tokens"] == report["usage"]["prompt_tokens"] + report["usage"]["completion_tokens"]
    assert report["timings"]["decode_tokens_per_s"] > 0
    assert report["sampling"]["temperature"] == 0.3
    assert report["sampling"]["seed"] == 7
    assert report["sampling"]["sources"] == {
        "temperature": "recommended by the model",
        "top_k": "yours",
        "seed": "yours",
    }
    assert len(report["logprobs"][0]["top"]) == 2
    assert report["logprobs"][0]["text"] == "hello"


def test_a_drawn_seed_is_told_so_that_the_answer_can_be_repeated(mambino: Any, script: Any) -> None:
    script("hello")
    seeds = {json.loads(mambino("run", "hi", "--json")[1])["sampling"]["seed"] for _ in range(3)}
    assert len(seeds) == 3


def test_max_tokens_and_stop_end_the_answer(mambino: Any, script: Any) -> None:
    script("hello the end")
    report = json.loads(mambino("run", "hi", "--json", "-n", "2")[1])
    assert (report["finish_reason"], len(report["ids"])) == ("length", 2)
    report = json.loads(mambino("run", "hi", "--json", "--stop", "the e")[1])
    assert (report["finish_reason"], report["stop"], report["text"]) == ("stop", "the e", "hello ")


def test_thinking_stays_out_of_standard_output(mambino: Any, script: Any) -> None:
    script("hmm</think>\nhello")
    assert mambino("run", "--think", "hi")[1] == "hello\n"
    report = json.loads(mambino("run", "--think", "--json", "hi")[1])
    assert (report["reasoning"], report["text"]) == ("hmm", "hello")
    assert report["usage"]["reasoning_tokens"] == 4


def test_system_text_comes_first(mambino: Any, script: Any) -> None:
    model = script("hello")
    mambino("run", "-s", "Be kind.", "hi")
    assert prompt_of(model).startswith("<|im_start|>system\nBe kind.<|im_end|>")


def test_raw_leaves_the_template_out(mambino: Any, script: Any) -> None:
    model = script("hello")
    mambino("run", "--raw", "Once <|im_end|>", "-n", "1")
    assert prompt_of(model).startswith("Once <|im_end|>")
    assert model.special_seen == 0
    mambino("run", "--raw", "--parse-special", "Once <|im_end|>", "-n", "1")
    assert model.special_seen == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--raw", "-s", "x", "hi"], "--system and --think belong to the chat template"),
        (["--parse-special", "hi"], "needs --raw"),
        (["--backend", "gpu", "hi"], "'gpu' is not one of"),
        (["--top-k", "many", "hi"], "not a valid integer"),
        (["--top-p", "7", "hi"], "--top-p: expected a"),
        (["--seed", "-1", "hi"], "--seed: expected"),
        (["--nonsense", "hi"], "No such option"),
    ],
)
def test_wrong_usage_is_exit_code_2(mambino: Any, script: Any, args: list[str], said: str) -> None:
    script("hello")
    code, out, err = mambino("run", *args)
    assert (code, out) == (2, "")
    assert said in err


def test_a_failure_is_one_line_and_exit_code_1(mambino: Any, script: Any) -> None:
    script("hello")
    code, out, err = mambino("run", "--context", "10", "hi " * 20)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "10 fit with the answer" in err


def test_a_missing_model_is_one_line(mambino: Any) -> None:
    code, _, err = mambino("run", "-m", "./nothing.gguf", "hi")
    assert code == 1
    assert err == "mambino: [model] no such file or folder: ./nothing.gguf\n"


def test_debug_shows_where_it_failed(mambino: Any) -> None:
    _, _, err = mambino("run", "-m", "./nothing.gguf", "hi", "--debug")
    assert "Traceback" in err
    assert "no such file or folder" in err


def test_ctrl_c_is_exit_code_130_and_keeps_what_was_said(
    mambino: Any, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = script("hello the end")
    scripted = model._scripted

    def interrupted(ids: tuple[int, ...], vocab_size: int) -> object:
        if ids[-1] == 261:  # after "hello"
            raise KeyboardInterrupt
        return scripted(ids, vocab_size)

    monkeypatch.setattr(model, "_logits_after", interrupted)
    code, out, _ = mambino("run", "hi")
    assert (code, out) == (130, "hello\n")
    code, out, _ = mambino("run", "hi", "--json")
    assert code == 130
    assert json.loads(out)["finish_reason"] == "interrupted"


def test_logprobs_without_json_are_a_table(mambino: Any, script: Any) -> None:
    script("hello")
    lines = mambino("run", "hi", "--logprobs", "1")[1].splitlines()
    assert len(lines) == 2
    assert lines[0].split("\t")[1] == '"hello"'


def test_a_full_context_is_said(mambino: Any, script: Any) -> None:
    script("hello " * 100)
    code, out, err = mambino("run", "hi", "--context", "60")
    assert code == 0
    assert out.startswith("hello hello")
    assert "context of 60 tokens is full" in err
