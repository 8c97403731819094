"""Calls under a grammar: what a template writes is allowed, names and types that no tool has are not."""

import pytest

from grammar_texts import Walk, walk
from mambino.chat.answer_grammar import output_grammar
from mambino.chat.messages import Message, ToolCall
from mambino.chat.request import AnswerRequest, NamedTool, OutputFormat, ToolChoice
from mambino.chat.steering import constraint_for, constraint_for_output
from mambino.chat.wire.format import Schema, WireFormat
from mambino.chat.wire.hermes import HERMES
from mambino.chat.wire.nano_v2 import NANO_V2
from mambino.chat.wire.nemotron import NEMOTRON
from mambino.errors import InputError
from mambino.tokenizer.tokenizer import Tokenizer
from tiny_chat import CONTROL, tiny_tokenizer

SPELLED = tiny_tokenizer()
SPECIAL = tiny_tokenizer(control=(*CONTROL, "<tool_call>", "</tool_call>", "<TOOLCALL>", "</TOOLCALL>"))
LIGHT: Schema = {
    "name": "light",
    "parameters": {
        "type": "object",
        "properties": {
            "room": {"type": "string", "maxLength": 12},
            "level": {"type": "integer", "minimum": 0, "maximum": 100},
            "mode": {"type": "string", "enum": ["warm", "cold"]},
        },
        "required": ["room", "level"],
    },
}
CLOCK: Schema = {"name": "clock", "parameters": {"type": "object", "properties": {}}}
CALL = ToolCall(id="", name="light", arguments={"room": 'the "hall"', "level": 7, "mode": "warm"})
BRIEF = ToolCall(id="", name="light", arguments={"room": "hall", "level": 7})
NOW = ToolCall(id="", name="clock", arguments={})
WIRES = pytest.mark.parametrize("wire", [NEMOTRON, HERMES, NANO_V2], ids=lambda wire: wire.name)
INNER = tiny_tokenizer(
    control=(*CONTROL, "<tool_call>", "</tool_call>", "<function=", "</function>", "<parameter=", "</parameter>")
)
TOKENIZERS = pytest.mark.parametrize("tokenizer", [SPELLED, SPECIAL, INNER], ids=["spelled", "special", "inner"])


def answer(
    text: str,
    wire: WireFormat | None,
    tokenizer: Tokenizer = SPELLED,
    *,
    tool_choice: ToolChoice = "auto",
    parallel_calls: bool = True,
    output: OutputFormat | None = None,
    tools: tuple[Schema, ...] = (LIGHT, CLOCK),
) -> Walk:
    request = AnswerRequest(
        messages=(Message(role="user", content="?"),),
        tools=tools,
        tool_choice=tool_choice,
        parallel_calls=parallel_calls,
        output=output,
    )
    constraint = constraint_for(
        request, wire=wire, tags=None, tokenizer=tokenizer, vocab_size=tokenizer.vocab_size, prompt_text=""
    )
    return walk(constraint, tokenizer, text)


def is_allowed(seen: Walk) -> bool:
    return seen.rest == "" and seen.may_end


@WIRES
@TOKENIZERS
@pytest.mark.parametrize("before", ["", "Let me see.\n"])
def test_what_the_template_writes_is_allowed(wire: WireFormat, tokenizer: Tokenizer, before: str) -> None:
    for calls in ([CALL], [BRIEF], [NOW], [CALL, NOW, BRIEF]):
        assert is_allowed(answer(before + wire.render(calls).removesuffix("\n"), wire, tokenizer))


@WIRES
@TOKENIZERS
def test_plain_text_is_free(wire: WireFormat, tokenizer: Tokenizer) -> None:
    assert is_allowed(answer('No tool: 2 < 3 {"name": 1} <b>é</b>\n', wire, tokenizer))


@WIRES
@TOKENIZERS
def test_a_begun_call_names_a_tool(wire: WireFormat, tokenizer: Tokenizer) -> None:
    wrong = wire.render([ToolCall(id="", name="door", arguments={})]).removesuffix("\n")
    assert answer(wrong, wire, tokenizer).rest.startswith("door")


@WIRES
@TOKENIZERS
@pytest.mark.parametrize(
    "arguments",
    [
        {"room": "x", "level": "high"},
        {"room": "x"},
        {"room": "x", "level": 1, "mode": "hot"},
        {"room": "x" * 13, "level": 1},
    ],
)
def test_arguments_fit_the_schema(wire: WireFormat, tokenizer: Tokenizer, arguments: dict[str, object]) -> None:
    wrong = wire.render([ToolCall(id="", name="light", arguments=arguments)]).removesuffix("\n")
    assert not is_allowed(answer(wrong, wire, tokenizer))


@WIRES
@TOKENIZERS
def test_nothing_follows_the_calls(wire: WireFormat, tokenizer: Tokenizer) -> None:
    assert "Done" in answer(wire.render([NOW]).removesuffix("\n") + "\nDone", wire, tokenizer).rest


@WIRES
@TOKENIZERS
def test_one_call_at_a_time_if_so_asked(wire: WireFormat, tokenizer: Tokenizer) -> None:
    assert is_allowed(answer(wire.render([NOW]).removesuffix("\n"), wire, tokenizer, parallel_calls=False))
    assert not is_allowed(answer(wire.render([NOW, NOW]).removesuffix("\n"), wire, tokenizer, parallel_calls=False))


@WIRES
@TOKENIZERS
def test_a_required_call_is_forced_from_the_start(wire: WireFormat, tokenizer: Tokenizer) -> None:
    assert answer("", wire, tokenizer, tool_choice="required").forced.startswith(wire.openings[0])
    assert answer("Hello", wire, tokenizer, tool_choice="required").rest == "Hello"


@WIRES
def test_a_named_tool_is_forced_as_far_as_its_arguments(wire: WireFormat) -> None:
    forced = answer("", wire, SPELLED, tool_choice=NamedTool(name="light")).forced
    assert "light" in forced
    assert "room" in forced


@WIRES
def test_no_tool_may_be_called_if_so_asked(wire: WireFormat) -> None:
    """Then nothing constrains; the parser is given no tools."""
    assert is_allowed(answer("<tool_call>", wire, tool_choice="none"))


@WIRES
@TOKENIZERS
def test_an_output_form_leaves_calls_possible(wire: WireFormat, tokenizer: Tokenizer) -> None:
    form = OutputFormat(kind="json_object")
    assert is_allowed(answer('{"a": 1}', wire, tokenizer, output=form))
    assert is_allowed(answer(wire.render([CALL]).removesuffix("\n"), wire, tokenizer, output=form))
    assert answer("Hello", wire, tokenizer, output=form).rest == "Hello"


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (OutputFormat(kind="json_schema", source={"type": "array", "items": {"type": "integer"}}), "[1, 2]", '["a"]'),
        (OutputFormat(kind="json_object"), '{"a": [null]}', "[]"),
        (OutputFormat(kind="regex", source=r"^\d{2}/\d{2}$"), "12/34", "1/2"),
        (OutputFormat(kind="choice", source=("yes", "no")), "no", "maybe"),
        (OutputFormat(kind="lark", source='start: "a" rest\nrest: "b"+'), "abb", "ac"),
    ],
    ids=lambda value: value.kind if isinstance(value, OutputFormat) else "",
)
def test_forms_of_output(form: OutputFormat, good: str, bad: str) -> None:
    def followed(text: str) -> bool:
        constraint = constraint_for_output(form, tokenizer=SPELLED, vocab_size=SPELLED.vocab_size)
        return is_allowed(walk(constraint, SPELLED, text))

    assert followed(good)
    assert not followed(bad)
    assert is_allowed(answer(good, None, tools=(), output=form))


@pytest.mark.parametrize(
    "form",
    [
        OutputFormat(kind="json_schema", source="{}"),
        OutputFormat(kind="json_object", source={}),
        OutputFormat(kind="choice", source=()),
        OutputFormat(kind="choice", source=("a", "")),
        OutputFormat(kind="regex"),
    ],
)
def test_a_source_that_does_not_fit_its_kind_is_refused(form: OutputFormat) -> None:
    with pytest.raises(InputError, match=form.kind):
        output_grammar(form)


def test_choices_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(InputError, match="no tool is named 'door'"):
        answer("", HERMES, tool_choice=NamedTool(name="door"))
    with pytest.raises(InputError, match="there are no tools"):
        answer("", HERMES, tool_choice="required", tools=())
    with pytest.raises(InputError, match="knows no tools"):
        answer("", None)
