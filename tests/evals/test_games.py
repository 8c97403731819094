"""Agents play worlds by asking: what they are shown, how answers become actions, what a whole suite says."""

from dataclasses import replace
from pathlib import Path

import pytest

from evals.players import Told, told
from mambino.evals.agents import MODULES, new_agent, sections
from mambino.evals.data import SuiteOptions
from mambino.evals.runner import run
from mambino.evals.task import Player
from mambino.evals.tasks import load_task
from mambino.worlds.games import new_world


def listed_actions(prompt: str) -> list[str]:
    return prompt.partition("such as:\n")[2].partition("\n\n")[0].splitlines()


def test_sections_are_cut_at_headers() -> None:
    text = "### Reasoning\nup is good\n### Actions\nup\n"
    assert sections(text) == {"reasoning": "up is good", "actions": "up"}
    assert sections("no headers") == {}


def test_a_listed_action_is_legal(tmp_path: Path) -> None:
    player = told(lambda prompt: f"### Reasoning\nwhy not\n### Actions\n{listed_actions(prompt)[0]}")
    task = load_task("games:dungeon", SuiteOptions(episodes=3, limit=5))
    results = run(task, player, tmp_path, settings={})
    assert results.metrics["legal_actions"].value == 1.0
    assert len(results.records) == 3


def test_nonsense_is_counted_as_illegal_and_scores_nothing(tmp_path: Path) -> None:
    results = run(
        load_task("games:puzzle", SuiteOptions(episodes=2, limit=4)), told(lambda p: "dance"), tmp_path, settings={}
    )
    assert results.metrics["legal_actions"].value == 0.0
    assert results.metrics["score"].value == 0.0


def test_every_game_is_in_the_suite(tmp_path: Path) -> None:
    player = told(lambda prompt: listed_actions(prompt)[-1])
    results = run(load_task("games", SuiteOptions(episodes=1, limit=2)), player, tmp_path, settings={})
    assert {"game2048", "runner", "combat", "farm", "puzzle", "dungeon"} <= set(results.metrics)


@pytest.mark.parametrize("kind", MODULES)
def test_modules_are_asked_in_order_without_history(kind: str) -> None:
    model = Told(lambda p: "### Critique\nc\n### Subtask\ns\n### Actions\ngo north")
    world = new_world("dungeon")
    agent = new_agent(kind, world, Player(responder=model))
    seen = world.reset(0)
    agent.choose(seen)
    first = len(model.requests)
    agent.choose(world.step("go north"))
    assert first == len(MODULES[kind]) - ("reflect" in MODULES[kind])
    assert len(model.requests) - first == len(MODULES[kind])
    assert all(len(request.messages) == 2 for request in model.requests)
    last = model.requests[-1].messages[-1].content
    assert ("Critique: c" in last) == ("reflect" in MODULES[kind])
    assert ("Subtask: s" in last) == ("plan" in MODULES[kind])


def test_strict_answers_are_held_to_the_grammar() -> None:
    model = Told(lambda p: "go north")
    world = new_world("dungeon")
    agent = new_agent("planning", world, Player(responder=model), strict=True)
    action, _ = agent.choose(world.reset(0))
    assert action == "go north"
    plan, act = model.requests
    assert plan.output is None
    assert act.output is not None
    assert (act.output.kind, act.output.source) == ("regex", world.action_regex)


def test_the_agent_is_part_of_what_a_run_is() -> None:
    plain = SuiteOptions()
    assert plain.generated() != replace(plain, agent="planning").generated()
    assert plain.generated() == replace(plain, limit=3).generated()
