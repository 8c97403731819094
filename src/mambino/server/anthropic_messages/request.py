"""The body of an Anthropic message request: its schema, and what it asks of the model. Start at parse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from mambino.chat.messages import Message, Role, ToolCall
from mambino.chat.request import AnswerRequest, NamedTool, OutputFormat, Thinking, ToolChoice
from mambino.generation.params import SamplingParams
from mambino.server.asked import (
    MAX_STOPS,
    MAX_TOOLS,
    OBJECT,
    check_tool_choice,
    effort_thinking,
    function_of,
    one_system,
    sampling_of,
)
from mambino.server.schema import (
    Body,
    Checker,
    Schema,
    choice,
    either,
    fields,
    flag,
    ignored,
    integer,
    listed,
    number,
    optional,
    tagged,
    text,
)
from mambino.server.served import CHOICE

_TYPE = {"type": text(), "cache_control": ignored()}
_TEXT = fields({**_TYPE, "text": text(), "citations": ignored()}, ["text"])
_RESULT_CONTENT = either(text(), listed(tagged("type", {"text": _TEXT})))
_BLOCK = tagged(
    "type",
    {
        "text": _TEXT,
        "tool_use": fields(
            {**_TYPE, "id": text(), "name": text(), "input": OBJECT, "caller": ignored()}, ["id", "name", "input"]
        ),
        "tool_result": fields(
            {**_TYPE, "tool_use_id": text(), "content": optional(_RESULT_CONTENT), "is_error": flag()}, ["tool_use_id"]
        ),
        "thinking": fields({**_TYPE, "thinking": text(), "signature": ignored()}, ["thinking"]),
        "redacted_thinking": fields({**_TYPE, "data": ignored()}),
    },
)
_MESSAGE = fields({"role": choice("user", "assistant"), "content": either(text(), listed(_BLOCK))}, ["role", "content"])
_PARALLEL = {"type": text(), "disable_parallel_tool_use": flag()}
_TOOL_CHOICE = tagged(
    "type",
    {
        "auto": fields(_PARALLEL),
        "any": fields(_PARALLEL),
        "none": fields({"type": text()}),
        "tool": fields({**_PARALLEL, "name": text()}, ["name"]),
    },
)
_THINKING = tagged(
    "type",
    {
        "enabled": fields(
            {"type": text(), "budget_tokens": {"type": "integer", "minimum": 1}, "display": ignored()},
            ["budget_tokens"],
        ),
        "adaptive": fields({"type": text(), "display": ignored()}),
        "disabled": fields({"type": text()}),
    },
)
_TOOL = fields(
    {
        "type": optional(choice("custom")),
        "name": text(pattern=r"^[A-Za-z0-9_.\-]{1,128}$"),
        "description": optional(text()),
        "input_schema": OBJECT,
        **{name: ignored() for name in ("cache_control", "strict", "eager_input_streaming", "input_examples")},
    },
    ["name", "input_schema"],
)
_FORMAT = fields({"type": choice("json_schema"), "schema": OBJECT}, ["type", "schema"])
_COUNTED: dict[str, Schema] = {
    "model": text(),
    "adapter": CHOICE["adapter"],
    "messages": listed(_MESSAGE, minItems=1),
    "system": optional(either(text(), listed(_TEXT))),
    "tools": optional(listed(_TOOL, maxItems=MAX_TOOLS)),
    "tool_choice": optional(_TOOL_CHOICE),
    "thinking": optional(_THINKING),
    "output_config": optional(
        fields(
            {
                "effort": optional(choice("low", "medium", "high", "xhigh", "max")),
                "format": optional(_FORMAT),
            }
        )
    ),
    "cache_control": ignored(),
}

COUNT = Checker(fields(_COUNTED, ["messages"]))
MESSAGES = Checker(
    fields(
        {
            **_COUNTED,
            "max_tokens": {"type": "integer", "minimum": 1, "maximum": 2**31},
            "temperature": number(0, 1),
            "top_p": number(0, 1),
            "top_k": integer(0, 2**31),
            "stop_sequences": optional(listed(text(minLength=1), maxItems=MAX_STOPS)),
            "stream": flag(),
            **{
                name: ignored()
                for name in ("metadata", "service_tier", "container", "inference_geo", "context_management")
            },
        },
        ["messages", "max_tokens"],
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRequest:
    """What is asked, and whether the reply is a stream."""

    request: AnswerRequest
    streams: bool


def parse(body: Body, defaults: SamplingParams, vocab_size: int) -> MessageRequest:
    """A checked body as values. Raises InputError."""
    tools = tuple(function_of(tool, "input_schema") for tool in cast(Sequence[Body], body.get("tools", ())))
    sampling = {**body, "stop": body["stop_sequences"]} if "stop_sequences" in body else body
    chosen = cast(Body, body.get("tool_choice", {"type": "auto"}))
    request = AnswerRequest(
        messages=one_system(_messages(body)),
        params=sampling_of(
            sampling, defaults, max_tokens=cast("int | None", body.get("max_tokens")), vocab_size=vocab_size
        ),
        tools=tools,
        tool_choice=check_tool_choice(_tool_choice(chosen), tools),
        parallel_calls=not chosen.get("disable_parallel_tool_use"),
        output=_output(body),
        thinking=_thinking(body),
    )
    return MessageRequest(request=request, streams=bool(body.get("stream")))


def _thinking(body: Body) -> Thinking:
    asked = cast("Body | None", body.get("thinking"))
    if asked is not None and asked["type"] != "adaptive":
        return cast(int, asked["budget_tokens"]) if asked["type"] == "enabled" else False
    return effort_thinking(cast("str | None", cast(Body, body.get("output_config", {})).get("effort")))


def _output(body: Body) -> OutputFormat | None:
    asked = cast("Body | None", cast(Body, body.get("output_config", {})).get("format"))
    return None if asked is None else OutputFormat(kind="json_schema", source=cast(Body, asked["schema"]))


def _tool_choice(chosen: Mapping[str, object]) -> ToolChoice:
    if chosen["type"] == "tool":
        return NamedTool(name=str(chosen["name"]))
    return "required" if chosen["type"] == "any" else cast(ToolChoice, chosen["type"])


def _messages(body: Body) -> list[Message]:
    system = _text_of(body.get("system"))
    messages = [Message(role="system", content=system)] if system else []
    for sent in cast(Sequence[Body], body["messages"]):
        messages += _turn(cast(Role, sent["role"]), sent["content"])
    return messages


def _turn(role: Role, content: object) -> list[Message]:
    """One message, with its tool results before it as messages of their own."""
    if isinstance(content, str):
        return [Message(role=role, content=content)]
    blocks = cast(Sequence[Body], content)
    results = [
        Message(role="tool", content=_text_of(block.get("content")), tool_call_id=str(block["tool_use_id"]))
        for block in blocks
        if block["type"] == "tool_result"
    ]
    calls = tuple(
        ToolCall(id=str(block["id"]), name=str(block["name"]), arguments=cast(Body, block["input"]))
        for block in blocks
        if block["type"] == "tool_use"
    )
    said = _text_of([block for block in blocks if block["type"] == "text"])
    reasoning = "".join(str(block["thinking"]) for block in blocks if block["type"] == "thinking")
    if results and not said:
        return results
    return [*results, Message(role=role, content=said, reasoning=reasoning or None, tool_calls=calls)]


def _text_of(content: object) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(str(block["text"]) for block in cast(Sequence[Mapping[str, object]], content))
