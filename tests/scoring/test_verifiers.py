"""Structured output, next actions and schedules: NeMo-Gym's rules, case by case."""

import pytest

from mambino.scoring.budget import score_budget
from mambino.scoring.call_syntax import Call
from mambino.scoring.next_action import alike, score_action
from mambino.scoring.schedule import keeps, minutes_of, score_schedule
from mambino.scoring.short_answer import score_short_answer
from mambino.scoring.structured import Format, score_structured, strictified

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "home": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}
ROWS = {
    "type": "array",
    "items": {"type": "object", "properties": {"id": {"type": "integer"}, "ok": {"type": "boolean"}}},
}
JSON = '{"name": "A", "age": 3, "tags": ["x"], "home": {"town": "T"}}'


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        ("json", JSON, 1),
        ("json", f"```json\n{JSON}\n```", 0),  # the whole reply, fences and all
        ("json", JSON.replace("3", '"3"'), 0),
        ("json", JSON.replace('"age": 3, ', ""), 0),  # every property is required
        ("json", JSON.replace('"town"', '"x": 1, "town"'), 0),  # at every depth no other is allowed
        ("json", "", 0),
        ("json", "[" * 100_000, 0),
        ("yaml", "name: A\nage: 3\ntags: [x]\nhome: {town: T}\n", 1),
        ("yaml", "name: !!python/object:os.system {}\n", 0),
        ("toml", 'name = "A"\nage = 3\ntags = ["x"]\n[home]\ntown = "T"\n', 1),
        (
            "xml",
            "<r><name>A</name><age>3</age><tags><tag>x</tag></tags><home><town>T</town></home></r>",
            1,
        ),
        ("xml", "<r><name>A</name><age>three</age><tags/><home><town>T</town></home></r>", 0),
        ("xml", '<!DOCTYPE r [<!ENTITY a "b">]><r><name>&a;</name></r>', 0),
    ],
)
def test_a_document_of_the_schema(form: Format, text: str, value: float) -> None:
    pytest.importorskip("jsonschema")
    pytest.importorskip("yaml")
    assert score_structured(text, SCHEMA, form).value == value


def test_csv_rows_take_the_types_of_the_schema() -> None:
    pytest.importorskip("jsonschema")
    assert score_structured("id,ok\n1,true\n2,False\n", ROWS, "csv").value == 1
    assert score_structured("id,ok\nx,true\n", ROWS, "csv").value == 0


def test_strictifying_leaves_the_schema_alone() -> None:
    strict = strictified(SCHEMA)
    assert isinstance(strict, dict)
    assert strict["required"] == ["name", "age", "tags", "home"]
    assert "required" not in SCHEMA


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (True, 1, False),
        (1.0, 1.0 + 1e-7, True),
        ("one", "One", False),  # short strings are equal or not
        ("the red house", "a RED house", True),
        ("the red house", "some other words here entirely apart", False),
        ([1, 2], [2, 1], False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
    ],
)
def test_arguments_alike(value: object, expected: object, same: bool) -> None:
    assert alike(value, expected) is same


def test_a_message_or_the_calls_in_any_order() -> None:
    a, b = Call(name="a", arguments={"x": 1}), Call(name="b", arguments={})
    assert score_action([], []).value == 1
    assert score_action([a], []).value == 0
    assert score_action([], [a]).value == 0
    assert score_action([b, a], [a, b]).value == 1
    assert score_action([a], [a, a]).value == 0
    assert score_action([a, b], [a]).value == 1
    assert score_action([a, b], [a], allow_extra=False).value == 0


def test_matching_finds_the_pairing_that_greed_misses() -> None:
    """The first call fits both expected ones, the second only the first."""
    long = [Call(name="f", arguments={"t": text}) for text in ("red green blue", "red green", "blue sky")]
    assert score_action([long[0], long[1]], [long[1], long[2]]).value == 1


EVENTS = [
    {"event_id": 0, "duration": 60, "constraint": "between 10am and 11:45am", "min_time": "10:00", "max_time": "16:00"},
    {"event_id": 1, "duration": 60, "constraint": "before 1:45pm", "min_time": "10:00", "max_time": "16:00"},
]


def reply(first: str, second: str, duration: int = 60) -> str:
    return (
        f'Here: [{{"event_id": 0, "start_time": "{first}", "duration": {duration}}}, '
        f'{{"event_id": 1, "start_time": "{second}", "duration": 60}}]'
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (reply("10:30", "11:30"), 1),
        (reply("10:30", "11:00"), 0),  # overlap
        (reply("11:00", "12:00"), 0),  # ends after 11:45
        (reply("10:00", "12:46"), 0),  # ends after 13:45
        (reply("10:00", "12:00", duration=30), 0),
        (reply("09:30", "12:00"), 0),
        ("<think></think>" + reply("10:30", "11:30"), 0),
        ("no list", 0),
        ("[1, 2]", 0),
        ("[]", 0),
    ],
)
def test_a_schedule_keeps_every_rule(text: str, value: float) -> None:
    assert score_schedule(text, EVENTS).value == value


def test_times_and_constraints() -> None:
    assert [minutes_of(text) for text in ("12am", "12:30 pm", "13:05", "1PM")] == [0, 750, 785, 780]
    assert keeps("at 10am", 600, 660)
    assert not keeps("after 10am", 599, 660)
    with pytest.raises(ValueError, match="not a time"):
        minutes_of("25:00")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"It is \boxed{The Eiffel Tower}.", 1),
        ("eiffel tower", 1),
        ("I think it is the Eiffel Tower in Paris.", 1),
        (r"\boxed{[IDK]}", 0.5),
        ("I do not know.", 0.5),
        ("<think>Eiffel Tower?</think>Big Ben", 0),
        ("Eiffel", 0),
        ("The Eiffel Towers", 0),
        ("", 0),
    ],
)
def test_a_short_answer_is_right_unknown_or_wrong(text: str, value: float) -> None:
    assert score_short_answer(text, ["Eiffel Tower"]).value == value


def test_a_budget_is_kept_or_exceeded_by_degrees() -> None:
    assert [score_budget(n, 100).value for n in (0, 100, 150, 200, 500)] == [1, 1, 0.5, 0, 0]
    assert [score_budget(n, 0).value for n in (0, 1)] == [1, 0]
