"""Suites of several turns: an oracle gets everything, one that does nothing gets nothing, faults their own metric."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evals.players import reply_of
from mambino.chat.messages import Message, ToolCall
from mambino.chat.request import AnswerRequest
from mambino.evals.data import SuiteOptions
from mambino.evals.runner import Results, run
from mambino.evals.task import Player, Reply
from mambino.evals.tasks import load_task
from mambino.evals.tasks.home import turns_of

PARTS = (
    (r"set the ([\w ]+?) light to (\d+)", "set_light", ("room", "level")),
    (r"(unlock|lock) the ([\w ]+?)(?:,|\.|$)", "lock_door", ("locked", "door")),
    (r"set the heating to (\d+)", "set_thermostat", ("degrees",)),
    (r"start a timer called (\w+) for (\d+)", "start_timer", ("label", "minutes")),
)


class Scripted:
    """Answers with reply(messages)."""

    name = "scripted"

    def __init__(self, reply: Callable[[tuple[Message, ...]], Reply], *, knows_tools: bool = True) -> None:
        self.reply, self.knows_tools = reply, knows_tools

    def respond(self, request: AnswerRequest) -> Reply:
        return self.reply(tuple(request.messages))


def play(suite: str, folder: Path, reply: Callable[[tuple[Message, ...]], Reply], *, limit: int = 8) -> Results:
    return run(load_task(suite, SuiteOptions(limit=limit)), Player(responder=Scripted(reply)), folder, settings={})


def calls_for(text: str, before: str) -> list[ToolCall]:
    """What a careful reader of the person's words calls."""
    if "the same in the" in text:
        room = re.findall(r"the same in the ([\w ]+)\.", text)[0]
        level = re.findall(r"light to (\d+)", before)[-1]
        return [ToolCall(id="1", name="set_light", arguments={"room": room, "level": int(level)})]
    calls = []
    for pattern, name, keys in PARTS:
        for found in re.findall(pattern, text, re.IGNORECASE):
            values = [found] if isinstance(found, str) else list(found)
            arguments: dict[str, object] = dict(zip(keys, values, strict=True))
            if "locked" in arguments:
                arguments["locked"] = arguments["locked"].lower() == "lock"
            for key in ("level", "degrees", "minutes"):
                if key in arguments:
                    arguments[key] = int(str(arguments[key]))
            calls.append(ToolCall(id=str(len(calls)), name=name, arguments=arguments))
    return calls


def careful(messages: tuple[Message, ...]) -> Reply:
    if messages[-1].role == "tool":
        return reply_of("Done.")
    said = [message.content for message in messages if message.role == "user"]
    calls = calls_for(said[-1], " ".join(said[:-1]))
    return reply_of("" if calls else "There is no such light.", calls=tuple(calls))


def test_the_home_s_oracle_has_every_turn_right(tmp_path: Path) -> None:
    results = play("home", tmp_path, careful, limit=12)
    assert {name: metric.value for name, metric in results.metrics.items()} == dict.fromkeys(results.metrics, 1.0)
    assert set(results.metrics) >= {"turns", "conversations", "goal", "again", "impossible", "calls_without_error"}


def test_doing_nothing_is_right_only_where_nothing_can_be_done(tmp_path: Path) -> None:
    results = play("home", tmp_path, lambda messages: reply_of("No."))
    assert results.metrics["turns"].value == 0.0  # what was left undone stays undone


def test_touching_what_was_not_asked_for_fails_the_turn_and_all_after_it(tmp_path: Path) -> None:
    def meddling(messages: tuple[Message, ...]) -> Reply:
        if messages[-1].role == "user" and "please" in messages[-1].content and "Turn off" in messages[-1].content:
            wrong = next(turn.home for turn in turns_of(0) if turn.kind == "impossible")
            room = next(iter(wrong.lights))
            level = 1 if wrong.lights[room] != 1 else 2
            arguments = {"room": room, "level": level}
            return reply_of("", calls=(ToolCall(id="9", name="set_light", arguments=arguments),))
        return careful(messages)

    results = play("home", tmp_path, meddling, limit=1)
    assert results.metrics["impossible"].value == 0.0
    assert results.metrics["again"].value == 1.0
    assert results.metrics["conversations"].value == 0.0


def test_calls_that_fail_are_counted_and_endless_ones_end(tmp_path: Path) -> None:
    def stubborn(messages: tuple[Message, ...]) -> Reply:
        call = ToolCall(id=str(len(messages)), name="set_light", arguments={"room": "moon", "level": len(messages)})
        return reply_of("", calls=(call,))

    results = play("home", tmp_path, stubborn, limit=1)
    assert results.metrics["calls_without_error"].value == 0.0
    (record,) = results.records.values()
    assert record.answer["calls"] == 8 * len(turns_of(0))


def test_a_model_without_tools_is_unscored(tmp_path: Path) -> None:
    player = Player(responder=Scripted(careful, knows_tools=False))
    results = run(load_task("home", SuiteOptions(limit=2)), player, tmp_path, settings={})
    assert not results.metrics
    assert "no place for them" in next(iter(results.unscored))


def actor(messages: tuple[Message, ...]) -> str:
    """Plays its part: its answers hold what the system text and the guest said, within every rule."""
    system, said = messages[0].content, " ".join(message.content for message in messages if message.role == "user")
    name, trade, town = re.findall(r"You are (\w+)\. You are a (\w+) in ([\w ]+), in a land", system)[0]
    guest, origin = re.findall(r"My name is (\w+), and I come from ([\w ]+)\.", said)[0]
    asked = messages[-1].content
    facts = {"your name": name, "you live": town, "for a living": trade, "my name?": guest, "I come from?": origin}
    fact = next((value for key, value in facts.items() if key in asked), "a quiet day")
    return f"Well, {fact}, safe travels"


def test_an_actor_that_keeps_its_part_scores_everything(tmp_path: Path) -> None:
    results = play("persona", tmp_path, lambda messages: reply_of(actor(messages)), limit=20)
    assert {name: metric.value for name, metric in results.metrics.items()} == dict.fromkeys(
        ("consistent", "facts", "memory", "in_role", "rule"), 1.0
    )


@pytest.mark.parametrize(
    ("answer", "metric"),
    [("I am an AI language model", "in_role"), ("It has been 7 long years. So. It. Is! Indeed", "rule"), ("", "facts")],
)
def test_leaving_the_part_costs_its_own_metric(answer: str, metric: str, tmp_path: Path) -> None:
    results = play("persona", tmp_path, lambda messages: reply_of(answer), limit=4)
    assert results.metrics[metric].value == 0.0
    assert results.metrics["consistent"].value == 0.0


def test_a_conversation_with_an_answer_that_was_cut_is_unscored(tmp_path: Path) -> None:
    results = play("persona", tmp_path, lambda messages: reply_of(actor(messages), finish="length"), limit=2)
    assert not results.metrics
    assert "did not come to an end" in next(iter(results.unscored))


def test_transcripts_of_conversations_are_json(tmp_path: Path) -> None:
    play("home", tmp_path, careful, limit=1)
    lines = (tmp_path / "home.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["answer"]["messages"][0]["role"] == "system"
