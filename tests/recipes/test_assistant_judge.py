"""The assistant's judge: experts are right, each sort of fault is seen, and the report adds up."""

import json
import random
from dataclasses import replace

import pytest
from recipes.bundled.assistant.game_rows import Games
from recipes.bundled.assistant.game_teachers import ways_on
from recipes.bundled.assistant.judge import ask, evaluate, judged_answer, report
from recipes.bundled.assistant.row import Abstain, Calls, Check, Follows, Gives, NoCall, Plays, Row, Says
from recipes.bundled.assistant.rows import rows
from recipes.bundled.assistant.template import TEMPLATE
from recipes.bundled.assistant.verdict import judge, obeys_switch

from mambino.chat.answering import Answerer
from mambino.chat.messages import Message, ToolCall
from mambino.chat.template import ChatTemplate
from mambino.load import open_tokenizer
from mambino.worlds.games import new_world
from tiny_chat import ReplyLM

_CALL = ToolCall(id="c", name="set_light", arguments={"room": "kitchen", "level": 50})
_QUESTION = Message(role="user", content="Q")


def _row(check: Check, *, kind: str = "call", reasoning: str | None = None) -> Row:
    answer = Message(role="assistant", content="expert", reasoning=reasoning)
    return Row(kind=kind, messages=(_QUESTION, answer), tools=({"name": "set_light"},), check=check)


def _said(text: str, *calls: ToolCall) -> Message:
    return Message(role="assistant", content=text, tool_calls=calls)


def _with(**arguments: object) -> ToolCall:
    return ToolCall(id="other", name="set_light", arguments={**_CALL.arguments, **arguments})


def test_every_expert_is_right_and_obeys_the_switch() -> None:
    pytest.importorskip("if_verifiable")
    for split in ("train", "held_out"):
        for row in rows(40, seed=3, split=split):
            assert judge(row, row.messages[-1]).value == 1.0, row
            assert obeys_switch(row, row.messages[-1]).value == 1.0, row


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (_said("", _with(level=50.0)), 1.0),
        (_said("", _with(level=51)), 0.0),
        (_said("", _with(level="50")), 0.0),
        (_said("", _with(extra=1)), 0.0),
        (_said("", _CALL, _CALL), 0.0),
        (_said("", replace(_CALL, name="light")), 0.0),
        (_said("I set the light."), 0.0),
    ],
)
def test_calls_must_be_exactly_those(answer: Message, value: float) -> None:
    assert judge(_row(Calls(calls=(_CALL,))), answer).value == value


def test_true_is_not_one() -> None:
    locked = ToolCall(id="c", name="lock", arguments={"locked": True})
    assert judge(_row(Calls(calls=(locked,))), _said("", replace(locked, arguments={"locked": 1}))).value == 0.0


def test_calls_of_one_turn_come_in_any_order() -> None:
    other = _with(room="hall")
    assert judge(_row(Calls(calls=(_CALL, other))), _said("", other, _CALL)).value == 1.0


@pytest.mark.parametrize(
    ("check", "right", "wrong"),
    [
        (NoCall(), _said("Hello!"), _said("", _CALL)),
        (NoCall(), _said("Hello!"), _said(" ")),
        (Abstain(), _said("There is no sauna here."), _said("The sauna light is on.")),
        (Abstain(), _said("I don\u2019t know: the text does not say it."), _said("I do not know.", _CALL)),
        (Says(facts=(("locked", "shut"), ("19.5",))), _said("It is SHUT at 19.5."), _said("It is shut.")),
        (Says(facts=(("locked",),)), _said("It is locked."), _said("It is locked.", _CALL)),
        (Gives(value={"age": 5}), _said('{"age": 5}'), _said("age: 5")),
        (Gives(value={"age": 5}), _said('{"age": 5}'), _said('{"age": "5"}')),
        (Plays(game="puzzle", legal=("up",), best=("up",)), _said("### Actions\nup"), _said("### Actions\ndown")),
        (Plays(game="puzzle", legal=("up",), best=("up",)), _said("up"), _said("I go up")),
    ],
)
def test_a_check_takes_what_is_right_only(check: Check, right: Message, wrong: Message) -> None:
    assert judge(_row(check), right).value == 1.0
    assert judge(_row(check), wrong).value == 0.0


def test_rules_are_all_kept_or_broken() -> None:
    pytest.importorskip("if_verifiable")
    ids, kwargs = ("punctuation:no_comma", "startend:quotation"), ({}, {})
    row = _row(Follows(prompt="Q", ids=ids, kwargs=kwargs))
    assert judge(row, _said('"No comma"')).value == 1.0
    assert judge(row, _said('"A, comma"')).value == 0.0


def test_a_rule_without_a_verifier_is_not_counted() -> None:
    pytest.importorskip("if_verifiable")
    row = _row(Follows(prompt="Q", ids=("no:such",), kwargs=({},)))
    assert judge(row, _said("A")).value is None
    assert not report([judged_answer(row, _said("A"))]).kinds


@pytest.mark.parametrize(
    ("reasoning", "answered", "value"),
    [("R", "R", 1.0), ("R", None, 0.0), ("R", " ", 0.0), (None, None, 1.0), (None, "R", 0.0)],
)
def test_the_switch_is_obeyed_or_not(reasoning: str | None, answered: str | None, value: float) -> None:
    answer = Message(role="assistant", content="A", reasoning=answered)
    assert obeys_switch(_row(NoCall(), reasoning=reasoning), answer).value == value


def test_abstention_is_scored_by_f1() -> None:
    """Two rows of three should abstain; the answers do so on one of these and, wrongly, on the third: 2 / (2 + 2)."""
    answers = [(Abstain(), "I do not know."), (Abstain(), "It is red."), (Says(facts=(("red",),)), "I do not know.")]
    judged = [judged_answer(_row(check, kind="grounded"), _said(text)) for check, text in answers]
    assert report(judged).measures["abstention_f1"].value == pytest.approx(0.5)


def test_a_model_that_says_what_the_experts_say_is_perfect() -> None:
    pytest.importorskip("if_verifiable")
    template, tokenizer = ChatTemplate(TEMPLATE), open_tokenizer()
    judged = []
    for row in rows(12, seed=6, split="held_out"):
        asked = template.render(row.messages[:-1], tools=row.tools, enable_thinking=row.thinks)
        whole = template.render(row.messages, tools=row.tools, add_generation_prompt=False)
        said = whole.removeprefix(asked).removesuffix("<|im_end|>\n")
        model = ReplyLM(tokenizer, [said if row.thinks else f"<think></think>{said}"])
        judged.append(judged_answer(row, ask(Answerer(model, tokenizer, context=1024, template=TEMPLATE), row)))
    found = report(judged)
    assert found.rows == 12
    assert {name: summary.value for name, summary in found.measures.items()} == dict.fromkeys(found.measures, 1.0)
    assert not any(found.faults.values())


def test_a_report_is_json_and_names_faults() -> None:
    pytest.importorskip("if_verifiable")
    tokenizer = open_tokenizer()
    lines = list[str]()
    model = ReplyLM(tokenizer, ["<think></think>Hm."])
    found = evaluate(model, tokenizer, count=6, seed=7, template=TEMPLATE, progress=lines.append)
    assert json.loads(json.dumps(found.to_json()))["rows"] == 6
    assert lines == ["6 of 6 rows"]
    assert any("Hm." in fault for shown in found.faults.values() for fault in shown)


def test_games_are_played_under_the_prompts_that_measure_them() -> None:
    games, rng = Games(), random.Random(0)
    drawn = [games.row(rng, "train") for _ in range(8)]
    assert len({row.check.game for row in drawn if isinstance(row.check, Plays)}) >= 3
    for row in drawn:
        assert row.messages[0].content.startswith("You play a game.\n")
        assert "Possible actions now" in row.messages[1].content


def test_in_the_dungeon_any_way_but_back_is_good() -> None:
    world = new_world("dungeon")
    seen = world.reset(3)
    ways = {action for action in seen.actions if action.startswith("go ")}
    assert set(ways_on(seen, "")) == ways
    came = next(iter(ways)).removeprefix("go ")
    opposite = {"north": "south", "south": "north", "east": "west", "west": "east"}[came]
    later = set(ways_on(seen, f"go {opposite}"))
    assert later == ways - {f"go {came}"} or len(ways) == 1
