"""BFCL's check: the official checker's leniency and strictness, case by case."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from mambino.errors import InputError
from mambino.scoring.call_forms import calls_of
from mambino.scoring.call_syntax import Call, parse_calls
from mambino.scoring.calls import CallKind, match_calls

FUNCTION = {
    "name": "geo.area",
    "parameters": {
        "type": "dict",
        "properties": {
            "base": {"type": "integer"},
            "height": {"type": "float"},
            "unit": {"type": "string"},
            "flags": {"type": "array", "items": {"type": "string"}},
            "box": {"type": "dict"},
            "rows": {"type": "array", "items": {"type": "dict"}},
            "pair": {"type": "tuple", "items": {"type": "integer"}},
            "on": {"type": "boolean"},
        },
        "required": ["base"],
    },
}


def score(text: str, allowed: Mapping[str, Sequence[object]], kind: CallKind = "simple") -> float | None:
    return match_calls(kind, [FUNCTION], parse_calls(text), [{"geo.area": allowed}]).value


@pytest.mark.parametrize(
    ("text", "allowed", "value"),
    [
        ("[geo.area(base=10)]", {"base": [10]}, 1),
        ("geo.area(base=10)", {"base": [10]}, 1),
        ("[geo_area(base=10)]", {"base": [10]}, 0),
        ("[geo.area(base=10.0)]", {"base": [10]}, 0),  # no float for an integer
        ("[geo.area(base=True)]", {"base": [1]}, 0),  # nor a bool
        ("[geo.area(base=10, height=5)]", {"base": [10], "height": [5.0]}, 1),  # but an integer for a float
        ("[geo.area(height=5)]", {"base": [10], "height": [5.0]}, 0),  # required
        ("[geo.area(base=10)]", {"base": [10], "unit": ["m", ""]}, 1),  # may be absent
        ("[geo.area(base=10)]", {"base": [10], "unit": ["m"]}, 0),
        ("[geo.area(base=10, colour='red')]", {"base": [10]}, 0),
        ("[geo.area(base=10, unit='San Jose, C.A.')]", {"base": [10], "unit": ["san jose CA"]}, 1),
        ("[geo.area(base=10, unit='feet')]", {"base": [10], "unit": ["foot"]}, 0),
        ("[geo.area(base=10, flags=['A b', 'c'])]", {"base": [10], "flags": [["ab", "C"]]}, 1),
        ("[geo.area(base=10, flags=['c', 'ab'])]", {"base": [10], "flags": [["ab", "c"]]}, 0),
        ("[geo.area(base=10, flags=[1])]", {"base": [10], "flags": [["1"]]}, 0),
        ("[geo.area(base=10, box={'w': 1})]", {"base": [10], "box": [{"w": [1, 2], "h": ["", 3]}]}, 1),
        ("[geo.area(base=10, box={'w': 3})]", {"base": [10], "box": [{"w": [1, 2]}]}, 0),
        ("[geo.area(base=10, box={'q': 3})]", {"base": [10], "box": [{"w": [1]}]}, 0),
        ("[geo.area(base=10, box={})]", {"base": [10], "box": [{"w": [1]}]}, 0),
        ("[geo.area(base=10, rows=[{'w': 1}, {'w': 2}])]", {"base": [10], "rows": [[{"w": [1]}, {"w": [2]}]]}, 1),
        ("[geo.area(base=10, rows=[{'w': 2}, {'w': 1}])]", {"base": [10], "rows": [[{"w": [1]}, {"w": [2]}]]}, 0),
        ("[geo.area(base=10, rows=[{'w': 2}])]", {"base": [10], "rows": [[{"w": [1]}, {"w": [2]}]]}, 0),
        ("[geo.area(base=10, pair=(1, 2))]", {"base": [10], "pair": [[1, 2]]}, 1),
        ("[geo.area(base=10, on='true')]", {"base": [10], "on": [True]}, 0),
        ("[geo.area(base=width)]", {"base": ["width"]}, 1),  # the name of a variable
        ("[geo.area(base=Width)]", {"base": ["width"]}, 0),  # is compared as it is
        ("[geo.area(base=2*5)]", {"base": [10]}, 1),
        ("[geo.area(base=10, unit='New ' + 'York')]", {"base": [10], "unit": ["new york"]}, 1),
        ("[geo.area(base=10), geo.area(base=10)]", {"base": [10]}, 0),
        ("[]", {"base": [10]}, 0),
    ],
)
def test_value_by_value(text: str, allowed: dict[str, list[object]], value: float) -> None:
    assert score(text, allowed) == value
    assert score(text, allowed, "multiple") == value


def test_parallel_calls_match_in_any_order_and_each_once() -> None:
    def allow(base: int) -> dict[str, dict[str, list[object]]]:
        return {"geo.area": {"base": [base]}}

    calls = parse_calls("[geo.area(base=2), geo.area(base=1)]")
    assert match_calls("parallel", [FUNCTION], calls, [allow(1), allow(2)]).value == 1
    assert match_calls("parallel", [FUNCTION], calls, [allow(1), allow(1)]).value == 0
    assert match_calls("parallel", [FUNCTION], calls, [allow(1)]).value == 0


@pytest.mark.parametrize(
    "text",
    [
        "I cannot help.",
        "Sorry",
        "[a]",
        "f(x=open('y').read())" + "(" * 300,
        "f(x=lambda: 1)",
        "f(x=9**9**9)",
        "f(x='a'*3)",
        "f(x='a'+1)",
        "f(x=" + "+".join(["'a'"] * 2000) + ")",
        "f(x=1/0)",
        "f(x={[1]: 2})",
        "x" * 200_000,
        "f(x=" + "(" * 5000,
    ],
)
def test_what_is_no_call_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"\[calls\]"):
        parse_calls(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("<tool_call>f(x=1)</tool_call> and <tool_call>g(x=1)</tool_call>", ["f", "g"]),
        ("<TOOLCALL>[f(x=1), g(x=1)]</TOOLCALL>", ["f", "g"]),
        ("<TOOLCALL><tool_call>g(x=1)</tool_call>", ["g"]),
        ('</tool_call><tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>', ["f"]),
        ("<tool_call>" * 9_000 + "f(x=1)</tool_call>", None),  # in one pass
    ],
)
def test_tagged_calls(text: str, names: list[str] | None) -> None:
    if names is None:
        with pytest.raises(InputError, match=r"\[calls\]"):
            calls_of(text)
    else:
        assert [call.name for call in calls_of(text)] == names


def test_nothing_in_a_call_is_evaluated() -> None:
    assert parse_calls("f(x=__import__('os'), y=a[0], z=-1, n=g(k=1))") == (
        Call(name="f", arguments={"x": "__import__('os')", "y": "a[0]", "z": -1, "n": {"g": {"k": 1}}}),
    )


def test_every_possible_answer_of_the_suite_is_right(shared_dir: Path) -> None:
    """The first allowed value of every argument of every case."""
    folder = shared_dir / "data/evals/bfcl"
    kinds: dict[str, CallKind] = {"simple_python": "simple", "multiple": "multiple", "parallel": "parallel"}
    for name, kind in kinds.items():
        questions = [json.loads(line) for line in (folder / f"BFCL_v4_{name}.json").open()]
        answers = [json.loads(line) for line in (folder / f"possible_answer/BFCL_v4_{name}.json").open()]
        for question, answer in zip(questions, answers, strict=True):
            calls = [_first_choice(entry) for entry in answer["ground_truth"]]
            scored = match_calls(kind, question["function"], calls, answer["ground_truth"])
            assert scored.value == 1, (question["id"], scored.evidence)


def _first_choice(entry: dict[str, dict[str, list[object]]]) -> Call:
    ((name, allowed),) = entry.items()
    given = {key: [value for value in values if value != ""] for key, values in allowed.items()}
    return Call(name=name, arguments={key: _plain(values[0]) for key, values in given.items() if values})


def _plain(value: object) -> object:
    """Allowed dicts hold lists of allowed values."""
    if isinstance(value, dict):
        return {key: values[0] for key, values in value.items() if "" not in values}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
