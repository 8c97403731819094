"""Ready-made answers: joined by id or prompt, scored without a model, in the process and from the command line."""

import json
from pathlib import Path

import pytest

from mambino.cli.main import exit_code
from mambino.errors import FormatError, InputError
from mambino.evals.answers import score_answers, task_for_answers
from mambino.evals.data import SuiteOptions, read_rows
from mambino.evals.tasks import ifeval


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def gsm8k(tmp_path: Path) -> SuiteOptions:
    write(
        tmp_path / "gsm8k.jsonl", {"question": "1+1?", "answer": "so #### 2"}, {"question": "2+2?", "answer": "#### 4"}
    )
    return SuiteOptions(folder=tmp_path)


def scored(options: SuiteOptions, path: Path, suite: str = "gsm8k") -> dict[str, object]:
    results = score_answers(task_for_answers(suite, options, path), path)
    return {name: record.verdict for name, record in results.records.items()}


def test_rows_are_joined_by_id(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": 1, "response": "it is 4"}, {"id": "0", "response": "3"})
    results = score_answers(task_for_answers("gsm8k", gsm8k, path), path)
    assert [record.verdict.shares["accuracy"].part for record in results.records.values()] == [1, 0]
    assert results.metrics["accuracy"].value == 0.5


def test_rows_without_answer_or_sample_are_unscored(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": 0}, {"id": 7, "response": "2"}, {"id": 1, "response": 4})
    results = score_answers(task_for_answers("gsm8k", gsm8k, path), path)
    assert not results.metrics
    reasons = " | ".join(results.unscored)
    assert "no response" in reasons
    assert "no sample of gsm8k" in reasons
    assert "expected text" in reasons


def test_two_answers_to_one_sample_are_both_scored(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": 0, "response": "2"}, {"id": 0, "response": "3"})
    assert list(scored(gsm8k, path)) == ["0", "0#2"]


def test_a_bad_line_is_unscored_and_the_others_are_not(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"id": 0, "response": "2"}\r\n\r\n{"id": \r\n7\r\n{"id": 1, "response": "3"}\r\n   \n'
    )
    results = score_answers(task_for_answers("gsm8k", gsm8k, path), path)
    assert list(results.records) == ["0", "line 3", "line 4", "1"]
    assert results.metrics["accuracy"].samples == 2
    reasons = " | ".join(results.unscored)
    assert "not JSON" in reasons
    assert "expected an object, got int" in reasons


def test_line_ends_of_unicode_inside_an_answer_do_not_end_the_row(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        json.dumps({"id": 0, "response": "so\u2028it is\x85 2"}, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    assert score_answers(task_for_answers("gsm8k", gsm8k, path), path).metrics["accuracy"].value == 1


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{\n", b"[1, 2]", b"\xff\xfe{}", b"id,response\n0,2\n"])
def test_a_file_without_a_sound_row_is_refused(gsm8k: SuiteOptions, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.jsonl"):
        scored(gsm8k, path)


def test_samples_without_an_answer_are_counted_and_in_no_metric(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": 1, "response": "4"})
    results = score_answers(task_for_answers("gsm8k", gsm8k, path), path)
    assert results.unanswered == 1
    assert results.metrics["accuracy"].value == 1


def test_an_id_of_another_numbering_gives_way_to_the_prompt(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    task = task_for_answers("gsm8k", gsm8k, write(tmp_path / "a.jsonl", {"id": 0, "response": "x"}))
    second = task.samples[1].prompt
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": second}]
    path = write(
        tmp_path / "b.jsonl",
        {"id": 0, "prompt": second + "\n", "response": "4"},
        {"prompt": messages, "response": "4"},
        {"id": 1, "prompt": "something else", "response": "4"},
    )
    results = score_answers(task, path)
    assert list(results.records) == ["1", "1#2", "1#3"]
    assert results.metrics["accuracy"].value == 1


IFEVAL = {
    "prompt": "Say it.",
    "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
    "kwargs": [{}, {"num_words": 3, "relation": "at least", "frequency": None}],
}


def test_ifeval_rows_with_their_own_instructions_need_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("if_verifiable")
    path = write(tmp_path / "a.jsonl", IFEVAL | {"response": "one, two three"}, IFEVAL | {"response": ""})
    assert exit_code(["eval", "ifeval", "--answers", str(path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["scored_by"].startswith("if-verifiable")
    assert printed["verdicts"][0]["instructions"] == [
        {"instruction": "punctuation:no_comma", "strict": False, "loose": False},
        {"instruction": "length_constraints:number_words", "strict": True, "loose": True},
    ]
    assert printed["metrics"]["instruction_strict"]["value"] == 0.25
    assert printed["metrics"]["prompt_loose"]["value"] == 0


def test_ifeval_rows_as_published_and_as_people_cut_them(tmp_path: Path) -> None:
    """Every argument of every type in each kwargs, null but for its own; no kwargs at all; kwargs that fit nothing."""
    pytest.importorskip("if_verifiable")
    names = ("num_words", "relation", "keywords", "letter", "let_frequency", "let_relation", "N", "small_n")
    nulls = dict.fromkeys(names, None)
    rows = [
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [nulls]},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [None]},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": []},
        {"instruction_id_list": ["punctuation:no_comma"]},
        {"instruction_id_list": ["length_constraints:number_words"],
         "kwargs": [nulls | {"num_words": 1.0, "relation": "at least"}]},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}, {}]},
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": ["x"]},
        {"instruction_id_list": "punctuation:no_comma", "kwargs": [{}]},
    ]  # fmt: skip
    path = write(tmp_path / "a.jsonl", *(row | {"prompt": "p", "response": "fine"} for row in rows))
    results = score_answers(ifeval.empty_task("ifeval"), path)
    verdicts = [record.verdict for record in results.records.values()]
    assert [verdict.shares["prompt_strict"].part for verdict in verdicts[:5]] == [1, 1, 1, 1, 1]
    assert all("kwargs" in verdict.unscored[0] or "a list" in verdict.unscored[0] for verdict in verdicts[5:])
    assert not any(verdict.shares for verdict in verdicts[5:])


def test_half_a_character_is_printed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lone surrogate, which JSON can hold and UTF-8 cannot."""
    row = {"id": "simple_python_\ud83d", "function": [FUNCTION], "ground_truth": [{"f.g": {"x": [1]}}]}
    path = write(tmp_path / "a.jsonl", row | {"response": "[f.g(x='\ud83d')]"})
    assert exit_code(["eval", "bfcl", "--answers", str(path), "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdicts"][0]["id"] == "simple_python_\ud83d"
    assert (tmp_path / "out/report.html").stat().st_size > 0


def test_an_instruction_without_a_verdict_leaves_the_prompt_open_unless_another_fails(tmp_path: Path) -> None:
    pytest.importorskip("if_verifiable")
    row = {"prompt": "p", "instruction_id_list": ["no:such", "punctuation:no_comma"], "kwargs": [{}, {}]}
    path = write(tmp_path / "a.jsonl", row | {"response": "fine"}, row | {"response": "a, b"})
    results = score_answers(task_for_answers("ifeval", SuiteOptions(), path), path)
    first, second = (record.verdict for record in results.records.values())
    assert "prompt_strict" not in first.shares
    assert second.shares["prompt_strict"].part == 0
    assert first.unscored == ("no:such: unknown instruction type",)


FUNCTION = {"name": "f.g", "parameters": {"properties": {"x": {"type": "integer"}}, "required": ["x"]}}


@pytest.mark.parametrize(
    ("response", "value"),
    [
        ("[f.g(x=1)]", 1),
        ("[f.g(x=2)]", 0),
        ([{"f.g": {"x": 1}}], 1),
        ([{"f.g": '{"x": 1}'}], 1),
        ([{"type": "function", "function": {"name": "f.g", "arguments": '{"x": 1}'}}], 1),
        ('<tool_call>{"name": "f.g", "arguments": {"x": 1}}</tool_call>', 1),
        ("I cannot do that.", 0),
    ],
)
def test_bfcl_takes_calls_in_any_form(response: object, value: float, tmp_path: Path) -> None:
    row = {"id": "simple_python_3", "function": [FUNCTION], "ground_truth": [{"f.g": {"x": [1]}}]}
    path = write(tmp_path / "a.jsonl", row | {"response": response})
    results = score_answers(task_for_answers("bfcl", SuiteOptions(), path), path)
    assert results.metrics["accuracy"].value == value
    assert results.metrics["simple_python"].value == value


def test_irrelevance_is_right_without_a_call_and_relevance_with_any(tmp_path: Path) -> None:
    row = {"function": [FUNCTION], "ground_truth": []}
    answers = ["No function fits.", [], "[f.g(x=1)]"]
    rows = [row | {"id": f"live_irrelevance_{i}-0-0", "response": answer} for i, answer in enumerate(answers)]
    path = write(tmp_path / "a.jsonl", *rows)
    results = score_answers(task_for_answers("bfcl", SuiteOptions(), path), path)
    assert [record.verdict.shares["accuracy"].part for record in results.records.values()] == [1, 1, 0]
    path = write(tmp_path / "b.jsonl", *(other | {"id": str(other["id"]).replace("irr", "r")} for other in rows))
    results = score_answers(task_for_answers("bfcl", SuiteOptions(), path), path)
    assert [record.verdict.shares["live_relevance"].part for record in results.records.values()] == [0, 0, 1]


def test_bfcl_rows_without_a_category_are_checked_by_what_they_expect(tmp_path: Path) -> None:
    other = {"name": "h", "parameters": {"properties": {}, "required": []}}
    one, two = {"f.g": {"x": [1]}}, {"h": {}}
    rows = [
        {"function": [other, FUNCTION], "ground_truth": [one], "response": "[f.g(x=1)]"},
        {"function": [other, FUNCTION], "ground_truth": [one, two], "response": "[h(), f.g(x=1)]"},
        {"function": [other, FUNCTION], "ground_truth": [], "response": "I cannot."},
        {"function": [other, FUNCTION], "response": "[h()]", "id": "irrelevance_7"},
        {"function": [FUNCTION], "ground_truth": [one], "response": "[f.g(x=1)]", "id": "simple_4"},
        {"function": [FUNCTION], "ground_truth": "f.g", "response": "[f.g(x=1)]"},
        {"function": [FUNCTION], "response": "[f.g(x=1)]"},
        {"function": [FUNCTION], "response": "[f.g(x=1)]", "id": "simple_python_1"},
    ]
    path = write(tmp_path / "a.jsonl", *rows)
    results = score_answers(task_for_answers("bfcl", SuiteOptions(), path), path)
    found = [record.verdict.shares for record in results.records.values()]
    assert [shares["accuracy"].part for shares in found[:5]] == [1, 1, 1, 0, 1]
    assert "simple_python" in found[4]
    assert not any(found[5:])
    assert sum(count for reason, count in results.unscored.items() if "ground_truth" in reason) == 3


def test_ifeval_answers_are_joined_by_prompt(shared_dir: Path, tmp_path: Path) -> None:
    pytest.importorskip("if_verifiable")
    options = SuiteOptions(folder=shared_dir / "data/evals")
    row = json.loads((shared_dir / "data/evals/ifeval/input_data.jsonl").read_text().splitlines()[1])
    path = write(tmp_path / "a.jsonl", {"prompt": row["prompt"], "response": "No commas"})
    results = score_answers(task_for_answers("ifeval", options, path), path)
    assert list(results.records) == [str(row["key"])]
    assert results.metrics["prompt_strict"].value == 1


def test_ready_made_answers_are_scored_however_they_ended(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": 0, "response": "2", "finish_reason": "length"})
    results = score_answers(task_for_answers("gsm8k", gsm8k, path), path)
    assert results.metrics["accuracy"].value == 1.0


def test_rows_are_joined_by_the_suites_bare_question(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"prompt": "2+2?", "response": "4"}, {"question": "1+1?", "response": "2"})
    assert [verdict.shares["accuracy"].part for verdict in scored(gsm8k, path).values()] == [1, 1]


def test_a_prompt_that_several_samples_have_names_none(tmp_path: Path) -> None:
    write(tmp_path / "gsm8k.jsonl", *2 * ({"question": "1+1?", "answer": "#### 2"},))
    row = {"prompt": "1+1?", "response": "2"}
    path = write(tmp_path / "a.jsonl", row, row | {"id": 1.0})
    verdicts = scored(SuiteOptions(folder=tmp_path), path)
    assert "2 samples" in verdicts["line 1"].unscored[0]
    assert verdicts["1"].shares["accuracy"].part == 1


def test_a_copy_of_the_suites_answer_is_no_response(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    gold = {"id": 1, "question": "2+2?", "answer": "#### 4"}
    path = write(tmp_path / "a.jsonl", gold, gold | {"response": None}, gold | {"output": "5"})
    one, two, three = scored(gsm8k, path).values()
    assert one.unscored == two.unscored == ("the row has no response",)
    assert three.shares["accuracy"].part == 0


def test_kept_transcripts_are_scored_anew(gsm8k: SuiteOptions, tmp_path: Path) -> None:
    kept = {
        "id": "1",
        "answer": {"response": "4", "finish_reason": "stop"},
        "shares": {},
        "unscored": [],
        "details": {},
    }
    path = write(tmp_path / "a.jsonl", {"header": {"suite": "gsm8k"}}, kept)
    assert [verdict.shares["accuracy"].part for verdict in scored(gsm8k, path).values()] == [1]


def test_generated_prompts_of_another_length_are_not_scored(tmp_path: Path) -> None:
    options = SuiteOptions(length=256, limit=1)
    (sample,) = task_for_answers("ruler:niah_single_1", options, tmp_path).samples
    rows = [{"id": sample.id, "prompt": prompt, "response": "no"} for prompt in (sample.prompt, "another text")]
    right, other = scored(options, write(tmp_path / "a.jsonl", *rows), "ruler:niah_single_1").values()
    assert right.shares["score"].part == 0
    assert "another --length" in other.unscored[0]


def test_bfcl_takes_calls_beside_text_and_under_a_servers_names(tmp_path: Path) -> None:
    function = {
        "name": "math.add",
        "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    }
    called = [{"id": "c", "type": "function", "function": {"name": "math_add", "arguments": '{"a": 1}'}}]
    row = {
        "id": "simple_python_0",
        "function": function,
        "possible_answer": '[{"math.add": {"a": [1]}}]',
        "tool_calls": called,
    }
    unfit = {"id": "irrelevance_0", "function": [function], "response": "Let me see.", "tool_calls": called}
    path = write(
        tmp_path / "a.jsonl", row | {"response": ""}, row | {"response": None}, row | {"response": "So:"}, unfit
    )
    verdicts = scored(SuiteOptions(), path, "bfcl")
    assert [verdict.shares["accuracy"].part for verdict in verdicts.values()] == [1, 1, 1, 0]


def test_mmlu_letters_are_scored_without_log_probabilities(tmp_path: Path) -> None:
    (tmp_path / "maths_test.csv").write_text("question,choice0,choice1,choice2,choice3,answer\n1+1?,1,2,3,4,1\n")
    path = write(
        tmp_path / "a.jsonl", {"id": "maths-0", "response": "B"}, {"prompt": "1+1?", "response": "The answer is C"}
    )
    verdicts = scored(SuiteOptions(folder=tmp_path), path, "mmlu")
    assert [verdict.shares["accuracy"].part for verdict in verdicts.values()] == [1, 0]


def test_thinking_is_no_part_of_what_instructions_are_checked_on(tmp_path: Path) -> None:
    row = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}], "prompt": "No commas."}
    responses = ("<think>\nwell, yes\n</think>\n\nfine", "<think>well, yes", "well, yes")
    path = write(tmp_path / "a.jsonl", *(row | {"response": response} for response in responses))
    verdicts = scored(SuiteOptions(), path, "ifeval")
    assert [verdict.shares["prompt_strict"].part for verdict in verdicts.values()] == [1, 0, 0]


def test_white_space_around_a_response_reaches_the_checkers_but_for_what_follows_thinking(tmp_path: Path) -> None:
    row = {"instruction_id_list": ["format:no_whitespace"], "kwargs": [{}], "prompt": "One word."}
    responses = ("word", " word", "word\n", "<think>\nhm\n</think>\n\nword", "<think>hm</think>\n\nword\n")
    path = write(tmp_path / "a.jsonl", *(row | {"response": response} for response in responses))
    found = scored(SuiteOptions(), path, "ifbench").values()
    assert [verdict.shares["prompt_strict"].part for verdict in found] == [1, 0, 0, 1, 0]
    assert [verdict.shares["prompt_loose"].part for verdict in found] == [1, 0, 1, 1, 1]


@pytest.mark.parametrize("suite", ["gsm8k", "ifeval", "selfaware", "halueval", "truthfulqa", "bfcl:simple_python"])
def test_rows_of_another_suite_are_refused_with_a_reason(suite: str, tmp_path: Path) -> None:
    names = (
        "gsm8k.jsonl",
        "ifeval.jsonl",
        "selfaware.json",
        "qa_data.json",
        "BFCL_v4_simple_python.json",
        "mc_task.json",
    )
    for name in names:
        write(tmp_path / name, {"foo": 1})
    write(tmp_path / "a.jsonl", {"id": 0, "response": "2"})
    assert exit_code(["eval", suite, "--data", str(tmp_path), "--answers", str(tmp_path / "a.jsonl")]) == 1


def test_damaged_data_is_named(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b"not gzip"):
        path = tmp_path / ("rows.jsonl" if content[0] == 255 else "rows.jsonl.gz")
        path.write_bytes(content)
        with pytest.raises(FormatError, match=r"rows\.jsonl.*cannot be read"):
            list(read_rows(path))
