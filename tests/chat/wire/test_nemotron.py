"""Calls in tags with raw values: types come back from the schema, and what the model left out is put back and told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_events import Parts, joined
from mambino.chat.messages import ToolCall
from mambino.chat.stream import AnswerParser
from mambino.chat.wire.format import Schema
from mambino.chat.wire.nemotron import NEMOTRON

TOOL: Schema = {
    "name": "w",
    "parameters": {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "days": {"type": "integer"},
            "exact": {"type": "boolean"},
            "options": {"type": "object"},
            "note": {"type": ["string", "null"]},
        },
    },
}
OPEN, CLOSE = "<tool_call>\n<function=w>\n", "</function>\n</tool_call>\n"
TEXT, DAYS = "<parameter=text>\nhi\n</parameter>\n", "<parameter=days>\n3\n</parameter>\n"


def parse(text: str) -> Parts:
    parser = AnswerParser(wire=NEMOTRON, tools=(TOOL,))
    return joined(parser.feed(text) + parser.finish())


@pytest.mark.parametrize(
    ("text", "arguments", "repairs"),
    [
        (OPEN + TEXT + DAYS + CLOSE, {"text": "hi", "days": 3}, ()),
        (OPEN + CLOSE, {}, ()),
        ("<function=w>\n" + TEXT + "</function>\n", {"text": "hi"}, ("missing <tool_call>", "missing </tool_call>")),
        ("<function=w>\n" + TEXT + CLOSE, {"text": "hi"}, ("missing <tool_call>",)),
        (OPEN + "<parameter=text>\nhi\n" + DAYS + CLOSE, {"text": "hi", "days": 3}, ("missing </parameter>",)),
        (OPEN + "<parameter=text>\nhi\n" + CLOSE, {"text": "hi"}, ("missing </parameter>",)),
        (OPEN + TEXT + "</tool_call>", {"text": "hi"}, ("missing </function>",)),
        (OPEN + TEXT + "</function>", {"text": "hi"}, ("missing </tool_call>",)),
        (OPEN + TEXT, {"text": "hi"}, ("missing </function>", "missing </tool_call>")),
        (
            OPEN + "<parameter=text>\nhi\n",
            {"text": "hi"},
            ("missing </parameter>", "missing </function>", "missing </tool_call>"),
        ),
        (OPEN + TEXT + "so\n" + DAYS + CLOSE, {"text": "hi", "days": 3}, ("dropped text between parameters",)),
        (OPEN + "<parameter=text>\n\n</parameter>\n" + CLOSE, {"text": ""}, ()),
        (OPEN + "<parameter=text>\n\n\nx\n\n</parameter>\n" + CLOSE, {"text": "\n\nx\n"}, ()),
        (
            OPEN + "<parameter=text>see <parameter=days> there</parameter>" + CLOSE,
            {"text": "see <parameter=days> there"},
            (),
        ),
    ],
)
def test_calls_are_read_and_repaired(text: str, arguments: dict[str, object], repairs: tuple[str, ...]) -> None:
    parts = parse(text)
    assert parts["calls"] == [("w", arguments, repairs)]
    assert parts["content"] == ""


def test_two_functions_in_one_block_are_two_calls() -> None:
    parts = parse(OPEN + TEXT + "</function>\n<function=w>\n" + DAYS + CLOSE)
    assert [call[1] for call in parts["calls"]] == [{"text": "hi"}, {"days": 3}]


def test_a_call_cut_off_before_its_name_stays_text() -> None:
    assert parse("<tool_call>\n<function=")["content"] == "<tool_call>\n<function="


arguments = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(alphabet=st.characters(codec="utf-8"), max_size=30).filter(lambda text: "</" not in text),
        "days": st.integers(-(10**12), 10**12),
        "exact": st.booleans(),
        "options": st.dictionaries(st.text(max_size=5), st.none() | st.floats(allow_nan=False, allow_infinity=False)),
    },
)


@settings(max_examples=30)
@given(st.lists(arguments, min_size=1, max_size=3))
def test_what_is_rendered_reads_back(many: list[dict[str, object]]) -> None:
    calls = [ToolCall(id="", name="w", arguments=values) for values in many]
    parts = parse("Wait.\n" + NEMOTRON.render(calls))
    assert [call[1] for call in parts["calls"]] == many
    assert parts["content"] == "Wait."
    assert not any(call[2] for call in parts["calls"])
