"""BFCL's multi-turn loop on a small service of our own, and, where bfcl-eval is installed, the suite itself."""

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from evals.players import reply_of
from mambino.chat.messages import Message, ToolCall
from mambino.chat.request import AnswerRequest
from mambino.cli.main import main
from mambino.errors import Unsupported
from mambino.evals.answers import score_answers
from mambino.evals.data import SuiteOptions
from mambino.evals.runner import run
from mambino.evals.task import AnswerJson, Player, Reply, Sample
from mambino.evals.tasks import load_task
from mambino.evals.tasks.bfcl_multi_turn import MAX_STEPS, Services, attempt
from mambino.scoring.call_forms import calls_of
from mambino.scoring.limited import Outcome, limited
from mambino.scoring.multi_turn import decoded_turns, judge_turns
from mambino.scoring.simulated_apis import perform
from scoring.shelf import new_shelf

needs_package = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("bfcl_eval", "mpmath")),
    reason="bfcl-eval or mpmath is not installed (docs/EVALUATION.md): no official services",
)
ADD, DROP = {"name": "add", "parameters": {}}, {"name": "drop", "parameters": {}}
SAMPLE = Sample(
    id="shelf_0",
    tools=(ADD,),
    data={
        "turns": [[{"role": "user", "content": "Add a."}], [], [{"role": "user", "content": "Thanks."}]],
        "later_tools": {"1": [DROP]},
        "services": {},
    },
)
EXPECTED = [["add(name='a')"], ["drop(name='a')"], []]
MORE = "There is more now."


class Scripted:
    """Answers with reply(request)."""

    name = "scripted"

    def __init__(self, reply: Callable[[AnswerRequest], Reply], *, knows_tools: bool = True) -> None:
        self.reply, self.knows_tools = reply, knows_tools
        self.requests: list[AnswerRequest] = []

    def respond(self, request: AnswerRequest) -> Reply:
        self.requests.append(request)
        return self.reply(request)


def calling(*calls: tuple[str, Mapping[str, object]]) -> Reply:
    return reply_of(
        "", calls=tuple(ToolCall(id=f"c{index}", name=name, arguments=args) for index, (name, args) in enumerate(calls))
    )


def on_shelf(services: Services, done: Sequence[str], calls: Sequence[str]) -> Outcome:
    shelf = new_shelf()
    for call in done:
        perform(call, shelf)
    return Outcome(result=[perform(call, shelf) for call in calls])


def talk(responder: Scripted, perform: Callable[..., Outcome] = on_shelf) -> AnswerJson:
    return attempt(SAMPLE, Player(responder=responder), more_functions=MORE, perform=perform)


def value(answer: AnswerJson) -> float | None:
    return judge_turns(decoded_turns(answer["response"]), EXPECTED, new_shelf).value


def with_tools(request: AnswerRequest) -> Reply:
    match request.messages[-1]:
        case Message(role="user", content="Add a."):
            return calling(("add", {"name": "a"}), ("add", {}))
        case Message(role="user", content=content) if content == MORE:
            return calling(("drop", {"name": "a"}))
    return reply_of("Done: [add(name='b')]")


def in_text(request: AnswerRequest) -> Reply:
    said = request.messages[-1].content
    return reply_of("[add(name='a')]" if said == "Add a." else "drop(name='a')" if MORE in said else "Done.")


def test_results_go_back_until_no_call_is_made_and_missing_functions_come_in_their_turn() -> None:
    responder = Scripted(with_tools)
    answer = talk(responder)
    assert answer["response"] == [[[{"add": {"name": "a"}}, {"add": {}}], []], [[{"drop": {"name": "a"}}], []], [[]]]
    assert value(answer) == 1.0
    told = responder.requests[1].messages[-2:]
    assert [(one.role, one.tool_call_id) for one in told] == [("tool", "c0"), ("tool", "c1")]
    assert told[0].content == '{"added": "a"}'
    assert told[1].content.startswith("Error during execution: ")
    assert responder.requests[3].messages[-1].content == '{"dropped": "a"}'  # of what the turn before added
    assert [len(request.tools) for request in responder.requests] == [1, 1, 2, 2, 2]
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 5}


def test_a_model_that_knows_no_tools_writes_calls_and_reads_results_as_text() -> None:
    responder = Scripted(in_text, knows_tools=False)
    answer = talk(responder)
    assert answer["response"] == [["[add(name='a')]", "Done."], ["drop(name='a')", "Done."], ["Done."]]
    assert value(answer) == 1.0
    assert not any(request.tools for request in responder.requests)
    assert json.dumps(ADD) in responder.requests[0].messages[0].content
    assert json.dumps(DROP) not in responder.requests[0].messages[0].content
    assert responder.requests[1].messages[-1].content == """add(name='a') returned {"added": "a"}"""
    assert json.dumps(DROP) in responder.requests[2].messages[-1].content


@pytest.mark.parametrize("stops", [True, False])
def test_one_step_more_than_the_limit_ends_the_conversation(stops: bool) -> None:
    def endless(request: AnswerRequest) -> Reply:
        is_done = stops and len(request.messages) == 1 + 2 * MAX_STEPS
        return reply_of("Done.") if is_done else calling(("add", {"name": "b"}))

    answer = talk(Scripted(endless))
    turns = decoded_turns(answer["response"])
    assert [len(turn) for turn in turns][:2] == ([MAX_STEPS, MAX_STEPS + 1] if stops else [MAX_STEPS + 1])
    assert "more than 20 steps" in str(answer["ended"])
    assert value(answer) == 0.0


def test_a_call_without_an_end_ends_the_conversation() -> None:
    answer = talk(Scripted(with_tools), lambda services, done, calls: Outcome(reason="time: no verdict within 10 s"))
    assert len(decoded_turns(answer["response"])) == 1
    assert answer["ended"] == "time: no verdict within 10 s"


def test_a_reply_that_was_cut_off_marks_the_answer() -> None:
    answer = talk(Scripted(lambda request: reply_of("I think", finish="length")))
    assert answer["finish_reason"] == "length"
    assert len(decoded_turns(answer["response"])) == 3


def test_without_the_package_the_suite_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bfcl_eval", None)
    with pytest.raises(Unsupported, match="pip install --no-deps bfcl-eval"):
        load_task("bfcl_multi_turn", SuiteOptions())


def oracle(truth: Sequence[Sequence[str]], sample: Sample) -> Callable[[AnswerRequest], Reply]:
    """Makes the right calls of each turn at once, under the names of their parameters."""
    later = [tool for tools in sample.data["later_tools"].values() for tool in tools]  # type: ignore[attr-defined]
    names = {tool["name"]: list(tool["parameters"]["properties"]) for tool in (*sample.tools, *later)}

    def reply(request: AnswerRequest) -> Reply:
        turn = sum(message.role == "user" for message in request.messages) - 1
        if request.messages[-1].role != "user":
            return reply_of("Done.")
        return calling(*(named(call, names) for call in truth[turn]))

    return reply


def named(call: str, names: Mapping[str, Sequence[str]]) -> tuple[str, Mapping[str, object]]:
    """A call whose first argument may lack its name."""
    function = call[: call.index("(")]
    text = re.sub(r"\((?=['\"\d\[-])", f"({names[function][0]}=", call, count=1)
    (found,) = calls_of(text)
    return found.name, found.arguments


@needs_package
def test_the_oracle_has_every_conversation_right_and_silence_none(tmp_path: Path) -> None:
    task = load_task("bfcl_multi_turn", SuiteOptions(limit=2))
    assert [sample.data["category"] for sample in task.samples[::2]] == [
        "base", "miss_func", "miss_param", "long_context",
    ]  # fmt: skip
    for sample in task.samples:
        truth = sample.data["ground_truth"]
        assert isinstance(truth, list)
        answer = task.attempt(sample, Player(responder=Scripted(oracle(truth, sample))))
        verdict = task.score(sample, json.loads(json.dumps(answer)))
        assert verdict.shares["accuracy"].part == 1.0, (sample.id, verdict.details)
    silent = Player(responder=Scripted(lambda request: reply_of("No.")))
    results = run(task, silent, tmp_path, settings={})
    assert {name: metric.value for name, metric in results.metrics.items()} == dict.fromkeys(results.metrics, 0.0)
    assert results.unscored == {}


@needs_package
def test_official_result_files_are_scored_with_evidence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = load_task("bfcl_multi_turn:miss_func", SuiteOptions(limit=1))
    truth = task.samples[0].data["ground_truth"]
    assert isinstance(truth, list)
    right = [[[call] for call in turn] for turn in truth]
    rows = [right, [*right[:-1], []], right[:-1], "Error during inference: no route to host"]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"id": task.samples[0].id, "result": row}) + "\n" for row in rows))
    results = score_answers(task, path)
    parts = [record.verdict.shares.get("accuracy") for record in results.records.values()]
    assert [part and part.part for part in parts] == [1.0, 0.0, 0.0, None]
    with pytest.raises(SystemExit) as ended:
        main(["eval", "bfcl_multi_turn:miss_func", "--limit", "1", "--answers", str(path), "--json"])
    assert ended.value.code == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert "no calls" in verdicts[1]["evidence"]
    assert "list of turns" in verdicts[3]["unscored"][0]


@needs_package
def test_a_call_that_takes_too_long_is_not_waited_for() -> None:
    services = {"classes": ["MathAPI"], "config": {}, "long_context": False}
    call = "power(base=7, exponent=999999999999)"
    outcome = limited("performed", {"services": services, "done": [], "calls": [call]}, seconds=0.5)
    assert outcome.reason == "time: no verdict within 0.5 s"
