"""Reasoning, content and calls come apart the same way, however the text is cut; nothing ever raises."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_events import NO_PARTS, Parts, joined
from mambino.chat.events import CallArguments, CallEnded, CallStarted, TextPart
from mambino.chat.stream import AnswerParser, opens_thinking
from mambino.chat.wire.format import Schema, WireFormat
from mambino.chat.wire.hermes import HERMES
from mambino.chat.wire.nano_v2 import NANO_V2
from mambino.chat.wire.nemotron import NEMOTRON

TOOL: Schema = {
    "name": "w",
    "parameters": {
        "type": "object",
        "properties": {"s": {"type": "string"}, "n": {"type": "integer"}, "o": {"type": "object"}},
    },
}
WIRES = (NEMOTRON, HERMES, NANO_V2)
LONG_CHARS = 20_000


def split(feeds: Sequence[str], *, inside: bool, wire: WireFormat | None = None) -> Parts:
    parser = AnswerParser(
        wire=wire, tools=(TOOL,), starts_inside_thinking=inside, call_id_factory=iter("abcdefghij" * 20).__next__
    )
    return joined([event for text in feeds for event in parser.feed(text)] + parser.finish())


def assert_every_cut_agrees(text: str, expected: Parts, *, inside: bool, wire: WireFormat | None = None) -> None:
    assert split([text], inside=inside, wire=wire) == expected
    assert split(list(text), inside=inside, wire=wire) == expected
    for cut in range(len(text)):
        assert split([text[:cut], text[cut:]], inside=inside, wire=wire) == expected


PLAIN = [
    ("plain answer", False, "", "plain answer"),
    ("two\nlines\n", False, "", "two\nlines\n"),
    ("<think>\nhm\n</think>\n\n4", False, "hm", "4"),
    ("  <think>hm</think>4", False, "hm", "4"),
    ("hm\n\nso\n</think>\nYes.", True, "hm\n\nso", "Yes."),
    ("never closed\n", True, "never closed", ""),
    ("</think>4", True, "", "4"),
    ("a < b </thin b</think>c", True, "a < b </thin b", "c"),
    ("one</think>two</think>three", True, "one", "two</think>three"),
    ("text <think>x</think>", False, "", "text <think>x</think>"),
    ("<thin", False, "", "<thin"),
    ("", True, "", ""),
    ("\n\n", False, "", "\n\n"),
    ("hm</thi", True, "hm</thi", ""),
    ("<think></think>4", False, "", "4"),
    ("<tool_call> is a tag, <function= too, and <TOOLCALL>.\n", False, "", None),
]


@pytest.mark.parametrize("wire", [None, *WIRES], ids=lambda wire: wire.name if wire else "no tools")
@pytest.mark.parametrize(("text", "inside", "reasoning", "content"), PLAIN)
def test_every_cut_of_plain_text_gives_the_same_parts(
    text: str, inside: bool, reasoning: str, content: str | None, wire: WireFormat | None
) -> None:
    expected = NO_PARTS | {"reasoning": reasoning, "content": text if content is None else content}
    assert_every_cut_agrees(text, expected, inside=inside, wire=wire)


NEMOTRON_CALL = "<tool_call>\n<function=w>\n<parameter=s>\na\nb\n</parameter>\n</function>\n</tool_call>\n"
HERMES_CALL = '<tool_call>\n{"name": "w", "arguments": {"s": "a\\nb"}}\n</tool_call>\n'
NANO_CALL = '<TOOLCALL>[{"name": "w", "arguments": {"s": "a\\nb"}}]</TOOLCALL>\n'
CALLS = list(zip(WIRES, (NEMOTRON_CALL, HERMES_CALL, NANO_CALL), strict=True))
CALLED = ("w", {"s": "a\nb"}, ())


@pytest.mark.parametrize(("wire", "call"), CALLS, ids=lambda value: value.name if isinstance(value, WireFormat) else "")
def test_content_then_calls(wire: WireFormat, call: str) -> None:
    expected = NO_PARTS | {"content": "Let me look.", "calls": [CALLED, CALLED]}
    assert_every_cut_agrees("Let me look.\n\n" + call + call, expected, inside=False, wire=wire)


@pytest.mark.parametrize(("wire", "call"), CALLS, ids=lambda value: value.name if isinstance(value, WireFormat) else "")
def test_a_call_inside_thinking_is_a_call(wire: WireFormat, call: str) -> None:
    expected = NO_PARTS | {"reasoning": "hmso", "content": "Yes.", "calls": [CALLED]}
    assert_every_cut_agrees(f"hm\n{call}so\n</think>\nYes.", expected, inside=True, wire=wire)


def test_calls_inside_thinking_can_be_left_as_thoughts() -> None:
    parser = AnswerParser(wire=HERMES, tools=(TOOL,), starts_inside_thinking=True, calls_in_thinking=False)
    parts = joined(parser.feed(HERMES_CALL + "</think>x") + parser.finish())
    assert (parts["reasoning"], parts["content"], parts["calls"]) == (HERMES_CALL.rstrip(), "x", [])


@pytest.mark.parametrize(("wire", "call"), CALLS, ids=lambda value: value.name if isinstance(value, WireFormat) else "")
def test_an_unknown_function_stays_text(wire: WireFormat, call: str) -> None:
    text = "See:\n" + call.replace("=w>", "=v>").replace('"w"', '"v"')
    assert_every_cut_agrees(text, NO_PARTS | {"content": text}, inside=False, wire=wire)


@pytest.mark.parametrize(("wire", "call"), CALLS, ids=lambda value: value.name if isinstance(value, WireFormat) else "")
def test_without_tools_nothing_is_a_call(wire: WireFormat, call: str) -> None:
    parser = AnswerParser(wire=wire)
    assert parser.feed(call) + parser.finish() == [TextPart(kind="content", text=call)]


@pytest.mark.parametrize(("wire", "call"), CALLS, ids=lambda value: value.name if isinstance(value, WireFormat) else "")
def test_a_string_argument_streams_before_it_is_complete(wire: WireFormat, call: str) -> None:
    parser = AnswerParser(wire=wire, tools=(TOOL,))
    events = parser.feed(call[: call.index("a\nb" if wire is NEMOTRON else "a\\nb") + 1])
    assert isinstance(events[0], CallStarted)
    assert "".join(event.text for event in events if isinstance(event, CallArguments)) == '{"s": "a'
    assert not any(isinstance(event, CallEnded) for event in events)


def test_every_call_gets_its_own_id() -> None:
    parser = AnswerParser(wire=HERMES, tools=(TOOL,))
    ids = [event.id for event in parser.feed(HERMES_CALL * 3) if isinstance(event, CallStarted)]
    assert len(set(ids)) == 3


TAGS = "<think> </think> <tool_call> </tool_call> <function= </function> <parameter= </parameter> <TOOLCALL>"
MARKS = "w> s> n> { } [ ] \" ' : , \\ \\u d83d 1 1e999 True null x é \ud800 \x00 < > /"
JSON = ('"name": "w"', '"arguments": ', '"s": ', '{"name": "w", "arguments": {')
FRAGMENTS = [*TAGS.split(), *MARKS.split(), "\n", " ", *JSON, NEMOTRON_CALL, HERMES_CALL, NANO_CALL]
SAMPLES = [
    f"{NEMOTRON_CALL}{NEMOTRON_CALL.replace('=s>', '=n>')}",
    "<tool_call>\n<function=w>\n<parameter=s>\n<parameter=n>\n1\n</parameter>\n\n</function>\n</tool_call>",
    f"{HERMES_CALL}{HERMES_CALL}",
    '<tool_call>[{"arguments": {"n": 1, "o": {"a": [true, "\\u00e9"]}}, "name": "w"}]</tool_call>',
    f"{NANO_CALL[:-14]}, {NANO_CALL[11:]}",
]


@st.composite
def broken_calls(draw: st.DrawFn) -> str:
    """Calls with parts taken out, doubled, or swapped for others."""
    text = draw(st.sampled_from(SAMPLES))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 15)))
        text = text[:start] + draw(st.sampled_from(("", text[start:end] * 2, *FRAGMENTS))) + text[end:]
    return text


garbage = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join) | st.text(max_size=40) | broken_calls()


@given(text=garbage, cuts=st.lists(st.integers(0, 200), max_size=8), inside=st.booleans(), wire=st.sampled_from(WIRES))
def test_any_text_any_cut(text: str, cuts: list[int], inside: bool, wire: WireFormat) -> None:
    """joined() also checks that the pieces of every call are the JSON of its arguments."""
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    whole = split([text], inside=inside, wire=wire)
    assert split([text[a:b] for a, b in pairwise(edges)], inside=inside, wire=wire) == whole
    assert split(list(text), inside=inside, wire=wire) == whole


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
def test_every_beginning_in_every_cut(wire: WireFormat, text: str) -> None:
    for end in range(len(text)):
        assert split(list(text[:end]), inside=False, wire=wire) == split([text[:end]], inside=False, wire=wire)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (NEMOTRON, "<tool_call>" * (LONG_CHARS // 11)),
        (NEMOTRON, "<tool_call>\n<function=w>\n<parameter=s>" + "\n" * LONG_CHARS),
        (NEMOTRON, "<tool_call>\n<function=w>\n<parameter=o>" + "[" * LONG_CHARS),
        (HERMES, '<tool_call>{"a": "' + "<tool_call>" * (LONG_CHARS // 11)),
        (HERMES, '<tool_call>{"name": "w", "arguments": {"s": "' + "x" * LONG_CHARS),
        (HERMES, "\n" * LONG_CHARS),
    ],
    ids=("openings", "newlines in a value", "brackets", "openings in a string", "long string", "newlines"),
)
def test_long_input_is_read_in_one_go(wire: WireFormat, text: str) -> None:
    """A reader that went over its input again with every token would run into the test's timeout."""
    parts = split([text[index : index + 4] for index in range(0, len(text), 4)], inside=False, wire=wire)
    assert len(str(parts)) > LONG_CHARS


def test_content_is_not_held_back() -> None:
    parser = AnswerParser()
    assert parser.feed("Hello") == [TextPart(kind="content", text="Hello")]
    assert parser.feed("\n") == [TextPart(kind="content", text="\n")]


def test_prompts_that_leave_thinking_open() -> None:
    assert opens_thinking("<|im_start|>assistant\n<think>\n")
    assert not opens_thinking("<|im_start|>assistant\n<think></think>")
    assert not opens_thinking("<|im_start|>assistant\n")
