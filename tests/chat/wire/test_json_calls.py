"""Calls as JSON: several ways to pack them, small faults mended and told, larger ones left as text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_events import NO_PARTS, Parts, joined
from mambino.chat.messages import ToolCall
from mambino.chat.stream import AnswerParser
from mambino.chat.wire.format import Schema, WireFormat
from mambino.chat.wire.hermes import HERMES
from mambino.chat.wire.nano_v2 import NANO_V2

TOOL: Schema = {"name": "w", "parameters": {"type": "object"}}
ONE = '{"name": "w", "arguments": {"a": 1}}'


def parse(text: str, wire: WireFormat = HERMES) -> Parts:
    parser = AnswerParser(wire=wire, tools=(TOOL,))
    return joined(parser.feed(text) + parser.finish())


@pytest.mark.parametrize(
    ("body", "many"),
    [
        (ONE, [{"a": 1}]),
        (f"\n[{ONE}, {ONE}]\n", [{"a": 1}, {"a": 1}]),
        (f"{ONE}\n{ONE}", [{"a": 1}, {"a": 1}]),
        ('{"arguments": {"a": 1}, "name": "w"}', [{"a": 1}]),
        ('{"name": "w", "arguments": "{\\"a\\": 1}"}', [{"a": 1}]),
        ('{"name": "w", "parameters": {"a": 1}, "id": "x"}', [{"a": 1}]),
        ('{"name": "w"}', [{}]),
    ],
)
@pytest.mark.parametrize("wire", [HERMES, NANO_V2], ids=lambda wire: wire.name)
def test_ways_to_pack_calls(body: str, many: list[object], wire: WireFormat) -> None:
    opening = wire.openings[0]
    parts = parse(f"{opening}{body}</{opening[1:]}", wire)
    assert parts["calls"] == [("w", arguments, ()) for arguments in many]
    assert parts["content"] == ""


MISSING_TAG = "missing </tool_call>"
MISSING_END = "missing end of the JSON"


@pytest.mark.parametrize(
    ("text", "arguments", "repairs", "content"),
    [
        (f"<tool_call>{ONE}", {"a": 1}, (MISSING_TAG,), ""),
        (f"<tool_call>{ONE[:-1]}</tool_call>", {"a": 1}, (MISSING_END,), ""),
        (f"<tool_call>{ONE[:-2]}</tool_call>So", {"a": 1}, (MISSING_END,), "So"),
        (f"<tool_call>{ONE[:-2]}", {"a": 1}, (MISSING_END, MISSING_TAG), ""),
        (f"<tool_call>{ONE[:-3]}", {}, (MISSING_END, MISSING_TAG), ""),
        ('<tool_call>{"name": "w", "arguments": {"a": "x', {"a": "x"}, (MISSING_END, MISSING_TAG), ""),
        ('<tool_call>{"name": "w", "arguments": {"a": 1, "b', {"a": 1}, (MISSING_END, MISSING_TAG), ""),
        (f"<tool_call>{ONE} and so on", {"a": 1}, (MISSING_TAG,), " and so on"),
        (
            '<tool_call>{"name": "w", "arguments": {"a": 1 oops</tool_call>',
            {"a": 1},
            (MISSING_END, MISSING_TAG),
            "oops</tool_call>",
        ),
    ],
)
def test_broken_ends_are_repaired(
    text: str, arguments: dict[str, object], repairs: tuple[str, ...], content: str
) -> None:
    parts = parse(text)
    assert parts["calls"] == [("w", arguments, repairs)]
    assert parts["content"] == content


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call></tool_call>",
        "<tool_call>w(a=1)</tool_call>",
        '<tool_call>{"name": "other", "arguments": {}}</tool_call>',
        '<tool_call>{"arguments": {}}</tool_call>',
        '<tool_call>{"name": "w", "arguments": 3}</tool_call>',
        '<tool_call>{"name": "w", "arg',
        '<tool_call>{"name": 5, "arguments": {}}</tool_call>',
        "<TOOLCALL>[]</TOOLCALL>",
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert parse(text) == NO_PARTS | {"content": text}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.text(alphabet=st.characters(codec="utf-8"), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), min_size=1, max_size=3))
@pytest.mark.parametrize("wire", [HERMES, NANO_V2], ids=lambda wire: wire.name)
def test_what_is_rendered_reads_back(wire: WireFormat, many: list[dict[str, object]]) -> None:
    calls = [ToolCall(id="", name="w", arguments=arguments) for arguments in many]
    parts = parse("Wait.\n" + wire.render(calls), wire)
    assert parts == {"reasoning": "", "content": "Wait.", "calls": [("w", arguments, ()) for arguments in many]}
