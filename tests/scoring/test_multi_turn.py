"""Calls on simulated services, and verdicts over turns, on a small service of our own; nothing is evaluated."""

import sys

import pytest

from mambino.errors import InputError, Unsupported
from mambino.scoring.multi_turn import Step, decoded_step, decoded_turns, judge_turns
from mambino.scoring.simulated_apis import open_apis, perform
from scoring.shelf import Shelf, new_shelf

EXPECTED = [["add('a', count=2)", "count(name='a')"], [], ["drop(name='a')"]]


def verdict(*turns: list[Step]) -> tuple[float | None, str]:
    scored = judge_turns(turns, EXPECTED, new_shelf)
    return scored.value, scored.evidence


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("add(name='a', count=-2)", '{"added": "a"}'),
        ("add('a')", '{"added": "a"}'),
        ("add(name=title(author='Ann'))", '{"added": "Ann\'s book"}'),
        ("add(name='a (b)')", '{"added": "a(b)"}'),
        ("drop(name='b')", "Error during execution: 'b'"),
        ("add()", "Error during execution: Shelf.add() missing 1 required positional argument: 'name'"),
        ("burn()", "Error during execution: name 'burn' is not defined"),
    ],
)
def test_a_call_returns_what_the_method_does_or_raises(call: str, result: str) -> None:
    assert perform(call, new_shelf()) == result


@pytest.mark.parametrize(
    "call",
    [
        "_burn()",
        "Shelf._burn()",
        "add.__globals__",
        "add(name=__import__('os').getcwd())",
        "add(name=open('/etc/passwd').read())",
        "add(name=[x for x in (1, 2)])",
        "add(name='a' * 10)",
        "add(**{'name': 'a'})",
        "(lambda: 1)()",
        "add('a'); add('b')",
        "add(name='a'",
        "add(" * 5000,
        "add(name='" + "a" * 200_000 + "')",
        "",
    ],
)
def test_only_literals_and_public_methods_are_taken_from_a_call(call: str) -> None:
    shelf = Shelf()
    shelf.books["kept"] = 1
    assert perform(call, {"Shelf": shelf}).startswith("Error during execution: ")
    assert shelf.books == {"kept": 1}


def test_order_steps_and_further_calls_are_free_as_long_as_state_and_results_are_there() -> None:
    assert verdict([["add(name='a', count=2)", "count(name='a')"]], [], [["drop(name='a')"]]) == (1.0, "")
    more = [["count(name='b')"], ["add('a', 1)"], ["add('a', 1)"], ["count('a')", "count('a')"]]
    assert verdict(more, [["count('c')"]], [["drop(name='z')"], ["drop(name='a')"]])[0] == 1.0


@pytest.mark.parametrize(
    ("turns", "evidence"),
    [
        ([[["add('a', 2)"]], [], [["drop('a')"]]], 'turn 0: no call returned {"count": 2}'),
        ([[["add('a', 3)", "count('a')"]], [], [["drop('a')"]]], "turn 0: Shelf.books is {'a': 3}, not {'a': 2}"),
        ([[["add('a', 2)", "count('a')"]], [["add('b')"]], [["drop('a')"]]], "turn 2: Shelf.books is {'b': 1}, not {}"),
        (
            [[["add('a', 2)", "count('a')", "drop('a')"]], [], [["drop('a')"]]],
            "turn 0: Shelf.books is {}, not {'a': 2}",
        ),
        ([[["add('a', 2)", "count('a')"]], [], []], "turn 2: no calls"),
        ([[["add('a', 2)", "count('a')"]]], "ended after 1 of 3 turns"),
    ],
)
def test_what_is_wrong_is_said_with_its_turn(turns: list[list[Step]], evidence: str) -> None:
    assert verdict(*turns) == (0.0, evidence)


def test_a_result_of_an_earlier_turn_counts_later() -> None:
    expected = [["add('a')"], ["count('a')"]]
    assert judge_turns([[["add('a')", "count('a')"]], [["count('zz')"]]], expected, new_shelf).value == 1.0
    twice = [["add('a')"], ["count('a')", "count('a')"]]  # what is needed twice must be there twice
    assert judge_turns([[["add('a')", "count('a')"]], [["count('zz')"]]], twice, new_shelf).value == 0.0


def test_long_states_are_shown_around_what_differs() -> None:
    expected = [[f"add('{'x' * 5000}a')"]]
    evidence = judge_turns([[[f"add('{'x' * 5000}b')"]]], expected, new_shelf).evidence
    assert "xxxb" in evidence
    assert "xxxa" in evidence
    assert len(evidence) < 600


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        ([{"add": {"name": "a", "count": 2}}], ["add(name='a', count=2)"]),
        ([{"add": '{"name": "a", "flag": true}'}], ["add(name='a', flag=True)"]),
        ([{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}], ["add()"]),
        ("[add(name='a'), count(name=\"b\")]", ["add(name='a')", "count(name='b')"]),
        ("[add(name=title(author='Ann'))]", ["add(name=title(author='Ann'))"]),
        ("add(tags={'a': 1})", ["add(tags={'a': 1})"]),
        (["add('a')", "count('a')"], ["add('a')", "count('a')"]),
        ("All done, the book is on the shelf.", []),
        ([{"add": "no JSON"}], []),
        ([""], []),
        ([], []),
        (None, []),
    ],
)
def test_steps_are_read_in_each_form(step: object, calls: Step) -> None:
    assert decoded_step(step) == calls


def test_steps_without_calls_are_left_out_and_what_is_no_list_of_turns_is_refused() -> None:
    assert decoded_turns([[["add('a')"], "done"], []]) == [[["add('a')"]], []]
    for response in ("Error during inference", [["a"], "b"], None):
        with pytest.raises(InputError, match="list of turns"):
            decoded_turns(response)


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bfcl_eval", None)
    with pytest.raises(Unsupported, match="pip install --no-deps bfcl-eval"):
        open_apis(["MathAPI"], {}, long_context=False)
