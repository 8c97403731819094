"""The suites: loaded from data, asked, and scored; a perfect player gets everything, a silent one nothing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from evals.players import Told, reply_of, told
from mambino.chat.messages import ToolCall
from mambino.chat.request import AnswerRequest
from mambino.evals.data import SuiteOptions
from mambino.evals.runner import run
from mambino.evals.task import OptionScore, Player, Reply, Sample
from mambino.evals.tasks import SUITES, load_task

GYM = {
    "structured": "structured_outputs",
    "actions": "single_step_tool_use_with_argument_comparison",
    "calendar": "calendar",
    "abstention": "abstention",
}
SUPPLIED = ("ifeval", "bfcl", "halueval", "halueval:general", "selfaware", "gsm8k", "mmlu")


def options(shared: Path, suite: str = "") -> SuiteOptions:
    folder = shared / "data/evals"
    if suite in GYM:
        folder = folder / "nemo_gym_examples" / GYM[suite] / "data"
    return SuiteOptions(folder=folder, limit=3, length=512, episodes=1)


@pytest.mark.parametrize("suite", [*SUPPLIED, *GYM, "ruler", "games", "efficiency", "home", "persona"])
def test_every_suite_loads_and_names_its_metrics(suite: str, shared_dir: Path) -> None:
    if suite == "ifeval":
        pytest.importorskip("if_verifiable")
    task = load_task(suite, options(shared_dir, suite))
    assert task.samples
    assert len({sample.id for sample in task.samples}) == len(task.samples)
    assert task.metrics
    assert task.name == suite


def test_the_table_has_a_module_for_every_suite() -> None:
    folder = Path(load_task.__code__.co_filename).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(SUITES)


def oracle(samples: Sequence[Sample], answer: Mapping[str, str]) -> Player:
    by_prompt = {sample.prompt: answer[sample.id] for sample in samples}
    return told(lambda prompt: by_prompt[prompt])


def test_right_numbers_score_gsm8k(shared_dir: Path, tmp_path: Path) -> None:
    task = load_task("gsm8k", options(shared_dir))
    player = oracle(task.samples, {s.id: f"So it is.\n#### {s.data['answer']}" for s in task.samples})
    assert run(task, player, tmp_path, settings={}).metrics["accuracy"].value == 1.0


def test_halueval_asks_about_both_answers(shared_dir: Path, tmp_path: Path) -> None:
    task = load_task("halueval", SuiteOptions(folder=shared_dir / "data/evals", limit=4))
    assert [sample.data["is_hallucinated"] for sample in task.samples] == [False, True, False, True]
    assert run(task, told(lambda p: "Yes"), tmp_path, settings={}).metrics["accuracy"].value == 0.5


def test_selfaware_f1_counts_abstentions(tmp_path: Path) -> None:
    rows = [{"question_id": i, "question": f"q{i}", "answerable": i < 3} for i in range(4)]
    (tmp_path / "selfaware.json").write_text(json.dumps(rows))
    task = load_task("selfaware", SuiteOptions(folder=tmp_path))
    always = run(task, told(lambda p: "I don't know."), tmp_path / "a", settings={})
    assert always.metrics["f1"].value == pytest.approx(2 * 0.25 / (1 + 0.25))
    never = run(task, told(lambda p: "Paris."), tmp_path / "b", settings={})
    assert (never.metrics["f1"].value, never.metrics["accuracy"].value) == (0.0, 0.75)


class Longest:
    """Finds longer texts likelier; what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def rank(self, prompt: str, choices: Sequence[str]) -> tuple[OptionScore, ...]:
        self.prompts.append(prompt)
        return tuple(OptionScore(logprob=float(len(choice)), num_tokens=1) for choice in choices)


def ranked(ranker: Longest) -> Player:
    return Player(responder=Told(lambda p: ""), ranker=ranker)


def test_blimp_compares_the_sentences_of_a_pair(tmp_path: Path) -> None:
    pairs = [("the cats sleep", "the cat sleep"), ("he runs", "he running"), ("she saw him", "she saw he")]
    rows = [
        {"sentence_good": good, "sentence_bad": bad, "UID": "u", "pairID": str(i), "field": "syntax/semantics"}
        for i, (good, bad) in enumerate(pairs)
    ]
    (tmp_path / "blimp.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ranker = Longest()
    results = run(load_task("blimp", SuiteOptions(folder=tmp_path)), ranked(ranker), tmp_path / "out", settings={})
    assert ranker.prompts == ["", "", ""]
    assert results.metrics["accuracy"].value == pytest.approx(2 / 3)
    assert results.metrics["syntax_semantics"].samples == 3


def test_mmlu_asks_for_a_letter(shared_dir: Path, tmp_path: Path) -> None:
    ranker = Longest()
    task = load_task("mmlu", options(shared_dir))
    results = run(task, ranked(ranker), tmp_path, settings={})
    assert ranker.prompts[0].endswith("\nAnswer:")
    always_a = [sample.data["answer"] == 0 for sample in task.samples]
    assert results.metrics["accuracy"].value == sum(always_a) / len(always_a)


def test_log_probabilities_need_a_local_model(shared_dir: Path, tmp_path: Path) -> None:
    results = run(load_task("mmlu", options(shared_dir)), told(lambda p: "A"), tmp_path, settings={})
    assert not results.metrics
    assert "only a local model" in next(iter(results.unscored))


def test_truthfulqa_takes_both_forms_of_its_file(tmp_path: Path) -> None:
    target = {"choices": ["the longest one", "short"], "labels": [1, 0]}
    old = {"the longest one": 1, "short": 0}
    rows = [{"question": "q", "mc1_targets": t, "mc2_targets": t} for t in (target, old)]
    (tmp_path / "truthfulqa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = load_task("truthfulqa", SuiteOptions(folder=tmp_path))
    results = run(task, ranked(Longest()), tmp_path / "out", settings={})
    assert results.metrics["mc1"].value == 1.0
    assert 0.99 < results.metrics["mc2"].value <= 1.0


class Caller:
    """Calls what the sample's expected action or ground truth names."""

    name = "caller"
    knows_tools: bool = True

    def __init__(self, calls: Mapping[str, tuple[ToolCall, ...]]) -> None:
        self.calls = calls

    def respond(self, request: AnswerRequest) -> Reply:
        calls = self.calls[request.messages[-1].content]
        return reply_of("" if calls else "a message", finish="tool_calls" if calls else "stop", calls=calls)


def test_bfcl_calls_come_back_under_their_own_names(shared_dir: Path, tmp_path: Path) -> None:
    """Servers take no dots in names; the check wants them."""
    task = load_task("bfcl:simple_python", SuiteOptions(folder=shared_dir / "data/evals", limit=10))
    calls = {}
    for sample in task.samples:
        truth = sample.data["ground_truth"]
        assert isinstance(truth, list)
        ((name, allowed),) = truth[0].items()
        given = {key: next(v for v in values if v != "") for key, values in allowed.items() if any(values)}
        calls[sample.prompt] = (ToolCall(id="1", name=name.replace(".", "_"), arguments=given),)
    results = run(task, Player(responder=Caller(calls)), tmp_path, settings={})
    assert results.metrics["accuracy"].value == 1.0


def test_a_model_without_tools_is_asked_for_python(shared_dir: Path, tmp_path: Path) -> None:
    model = Told(lambda p: "[f(x=1)]")
    model.knows_tools = False
    task = load_task("bfcl:simple_python", SuiteOptions(folder=shared_dir / "data/evals", limit=1))
    run(task, Player(responder=model), tmp_path, settings={})
    assert "calculate_triangle_area" in model.requests[0].messages[0].content
    assert not model.requests[0].tools


def test_expected_actions_score(shared_dir: Path, tmp_path: Path) -> None:
    task = load_task("actions", options(shared_dir, "actions"))
    calls: dict[str, tuple[ToolCall, ...]] = {}
    for sample in task.samples:
        action = sample.data["expected_action"]
        assert isinstance(action, dict)
        is_call = action["type"] == "function_call"
        made = ToolCall(id="1", name=action["name"], arguments=json.loads(action["arguments"])) if is_call else None
        calls[sample.messages[-1].content] = (made,) if made else ()
    results = run(task, Player(responder=Caller(calls)), tmp_path, settings={})
    assert results.metrics["accuracy"].value == 1.0
