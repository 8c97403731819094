"""Our multi-turn verdicts against those of bfcl-eval's own checker, on right answers of its cases and damaged ones."""

import ast
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

pytest.importorskip("bfcl_eval", reason="bfcl-eval is not installed (docs/EVALUATION.md): no official services")
pytest.importorskip("mpmath", reason="mpmath is not installed (extra bfcl): no official services")

from bfcl_eval.eval_checker.multi_turn_eval import multi_turn_utils
from bfcl_eval.eval_checker.multi_turn_eval.multi_turn_checker import multi_turn_checker

from mambino.scoring.multi_turn import judge_turns
from mambino.scoring.simulated_apis import open_apis, package_folder

CATEGORIES = ("base", "miss_func", "miss_param", "long_context")
EVERY = 80  # of all cases, in the default tier
Turns = list[list[list[str]]]
Case = tuple[Mapping[str, Any], list[list[str]]]  # question, right calls by turn


def cases(every: int) -> Iterator[Case]:
    for category in CATEGORIES:
        name = f"BFCL_v4_multi_turn_{category}.json"
        folder = package_folder() / "data"
        questions = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        answers = [json.loads(line) for line in (folder / "possible_answer" / name).read_text().splitlines()]
        for question, answer in list(zip(questions, answers, strict=True))[::every]:
            assert question["id"] == answer["id"]
            yield question, answer["ground_truth"]


def damaged(right: list[list[str]], rng: random.Random, others: Sequence[str]) -> Iterator[Turns]:
    """The right answer; a call left out, changed, repeated, added, moved; shuffled, merged into a step, emptied."""
    yield stepwise(right)
    yield [[turn] if turn else [] for turn in right]
    yield [*stepwise(right)[:-1], []]
    for _ in range(2):
        turn = rng.choice([number for number, calls in enumerate(right) if calls])
        place = rng.randrange(len(right[turn]))
        for change in ("drop", "argument", "repeat", "add", "earlier", "order"):
            turns = stepwise(right)
            if change == "drop":
                del turns[turn][place]
            elif change == "argument":
                turns[turn][place] = [other_argument(right[turn][place], rng)]
            elif change == "repeat":
                turns[turn].insert(place, turns[turn][place])
            elif change == "add":
                turns[turn].insert(place, [rng.choice(others)])
            elif change == "earlier":
                turns[max(0, turn - 1)].append(turns[turn].pop(place))
            else:
                rng.shuffle(turns[turn])
            yield turns


def stepwise(right: list[list[str]]) -> Turns:
    return [[[call] for call in turn] for turn in right]


def other_argument(call: str, rng: random.Random) -> str:
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    if node.keywords:
        keyword = rng.choice(node.keywords)
        value = ast.literal_eval(keyword.value)
        keyword.value = ast.Constant(value=rng.choice([f"{value} (new)", str(value).upper(), 3, "", None]))
    return ast.unparse(node)


def official(question: Mapping[str, Any], turns: Turns, right: list[list[str]]) -> bool:
    """It keeps services in its module's globals, by names; they must not serve the next answer."""
    verdict = multi_turn_checker(turns, right, dict(question), "", "tested")
    for name in [name for name in vars(multi_turn_utils) if name.startswith("tested")]:
        del vars(multi_turn_utils)[name]
    return bool(verdict["valid"])


def ours(question: Mapping[str, Any], turns: Turns, right: list[list[str]]) -> bool:
    classes, config = question["involved_classes"], question["initial_config"]
    long_context = "long_context" in question["id"]
    return judge_turns(turns, right, lambda: open_apis(classes, config, long_context=long_context)).value == 1.0


def compare(every: int) -> tuple[int, int]:
    """How many answers official and our verdicts call right; none may differ."""
    rng = random.Random(0)
    all_cases = list(cases(every))
    others = [call for _, right in all_cases for turn in right for call in turn]
    compared = valid = 0
    for question, right in all_cases:
        for number, turns in enumerate(damaged(right, rng, others)):
            wanted = official(question, turns, right)
            assert ours(question, turns, right) == wanted, (question["id"], turns)
            assert wanted or number > 0, question["id"]  # the right answer is right
            compared, valid = compared + 1, valid + wanted
    return compared, valid


def test_verdicts_equal_the_official_ones() -> None:
    compared, valid = compare(EVERY)
    assert compared == 180
    assert 36 < valid < 144  # both verdicts are met


@pytest.mark.slow
def test_verdicts_equal_the_official_ones_on_all_cases() -> None:
    assert compare(1)[0] == 12_000
