"""JSON comes out correct piece by piece, whatever small fault a model makes; what cannot be JSON is refused."""

import json

import pytest

from mambino.chat.wire.json_text import MAX_DEPTH, JsonText, NotJsonError


def written(text: str) -> tuple[str, tuple[str, ...]]:
    reader = JsonText()
    out = "".join(map(reader.step, text))
    return out + ("" if reader.state == "done" else reader.close()), tuple(reader.repairs)


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, -2.5e3, true, null], "b": {"c": "x\\n\\u00e9\\ud83d\\ude00"}}', "{}", "[]", "[[], {}]", '{"": ""}'],
)
def test_correct_json_stays_as_it_is(text: str) -> None:
    assert written(text) == (text, ())


@pytest.mark.parametrize(
    ("text", "value", "repair"),
    [
        ('{"a": "x\ny"}', {"a": "x\ny"}, "a raw line break or control character in a string"),
        ('{"a": True, "b": None}', {"a": True, "b": None}, "Python's spelling of true, false or null"),
        ("{'a': 'it\"s'}", {"a": 'it"s'}, "single quotes"),
        ('{"a": 1,}', {"a": 1}, "dropped a last comma"),
        ('{"a": [1, ]}', {"a": [1]}, "dropped a last comma"),
        ('{"a": "\\d"}', {"a": "\\d"}, "an escape that JSON does not know"),
        ('{"a": [1, tru', {"a": [1]}, "dropped an unfinished value"),
    ],
)
def test_small_faults_are_mended(text: str, value: object, repair: str) -> None:
    out, repairs = written(text)
    assert json.loads(out) == value
    assert repairs == (repair,)


@pytest.mark.parametrize("half", ['"\\ud83d"', '"\\ude00"', '"\\ud83dx"', '"\\ud83d\\n"', '"\\ud83d\\ud83d\\ude00"'])
def test_half_characters_become_the_replacement_character(half: str) -> None:
    out, _ = written(f"[{half}]")
    assert "\ufffd" in json.loads(out)[0]
    out.encode("utf-8")
    json.loads(out)[0].encode("utf-8")


@pytest.mark.parametrize(
    "text", ['{"a" 1}', '{"a": 1 "b"}', "[1}", "{a: 1}", "[01]", "[nan]", '["\\u12x4"]', '"text"', "5", "{}{}", "[,]"]
)
def test_what_cannot_be_json_is_refused(text: str) -> None:
    with pytest.raises(NotJsonError):
        written(text)


def test_depth_is_limited() -> None:
    assert written("[" * MAX_DEPTH)[0] == "[" * MAX_DEPTH + "]" * MAX_DEPTH
    with pytest.raises(NotJsonError):
        written("[" * (MAX_DEPTH + 1))


@pytest.mark.parametrize("text", ['{"ab": [1, "x\\u00e9", {"c": null}], "d": false}'])
def test_every_beginning_closes_to_json(text: str) -> None:
    for end in range(1, len(text)):
        json.loads(written(text[:end])[0])
