"""The body of a response request: its schema, and what it asks of the model. Start at parse."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from mambino.chat.messages import Message, Role, ToolCall, message_from_json
from mambino.chat.request import AnswerRequest, NamedTool, ToolChoice
from mambino.errors import InputError
from mambino.generation.params import SamplingParams
from mambino.server.asked import (
    FUNCTION,
    MAX_TOOLS,
    OBJECT,
    SAMPLING,
    check_tool_choice,
    effort_thinking,
    format_of,
    function_of,
    one_system,
    sampling_of,
)
from mambino.server.chat_completions.request import joined_text
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
    optional,
    tagged,
    text,
)
from mambino.server.served import CHOICE

_PART = fields(
    {
        "type": choice("input_text", "output_text", "text", "summary_text", "reasoning_text"),
        "text": text(),
        "annotations": ignored(),
        "logprobs": ignored(),
    },
    ["type", "text"],
)
_CONTENT = either(text(), listed(_PART))
_ITEM_BASE: dict[str, Schema] = {"type": text(), "id": ignored(), "status": ignored()}
_MESSAGE = fields(
    {
        **_ITEM_BASE,
        "role": choice("user", "assistant", "system", "developer"),
        "content": _CONTENT,
        "phase": ignored(),
    },
    ["role", "content"],
)
_TYPED = tagged(
    "type",
    {
        "message": _MESSAGE,
        "function_call": fields(
            {**_ITEM_BASE, "call_id": text(), "name": text(), "arguments": text(), "namespace": ignored()},
            ["call_id", "name", "arguments"],
        ),
        "function_call_output": fields({**_ITEM_BASE, "call_id": text(), "output": _CONTENT}, ["call_id", "output"]),
        "reasoning": fields(
            {
                **_ITEM_BASE,
                "summary": listed(_PART),
                "content": optional(listed(_PART)),
                "encrypted_content": ignored(),
            }
        ),
    },
)
_ITEM: Schema = {"if": {"required": ["type"]}, "then": _TYPED, "else": _MESSAGE}
_FUNCTION_FIELDS = cast(dict[str, Schema], FUNCTION["properties"])
_FORMAT = tagged(
    "type",
    {
        "text": fields({"type": text()}),
        "json_object": fields({"type": text()}),
        "json_schema": fields(
            {"type": text(), "name": text(), "schema": OBJECT, "description": optional(text()), "strict": flag()},
            ["schema"],
        ),
    },
)

RESPONSE = Checker(
    fields(
        {
            **CHOICE,
            "input": either(text(), listed(_ITEM)),
            "instructions": optional(text()),
            "previous_response_id": optional(text()),
            "max_output_tokens": integer(1, 2**31),
            **{name: SAMPLING[name] for name in ("temperature", "top_p", "top_k", "min_p", "seed")},
            "tools": optional(
                listed(fields({"type": choice("function"), **_FUNCTION_FIELDS}, ["type", "name"]), maxItems=MAX_TOOLS)
            ),
            "tool_choice": optional(
                either(
                    choice("none", "auto", "required"),
                    fields({"type": choice("function"), "name": text()}, ["type", "name"]),
                )
            ),
            "parallel_tool_calls": flag(),
            "reasoning": optional(
                fields(
                    {
                        "effort": optional(choice("none", "minimal", "low", "medium", "high", "xhigh")),
                        "max_tokens": integer(0, 2**31),
                        "summary": ignored(),
                        "generate_summary": ignored(),
                    }
                )
            ),
            "text": optional(fields({"format": optional(_FORMAT), "verbosity": ignored()})),
            "store": flag(),
            "stream": flag(),
            "metadata": optional(OBJECT),
            "background": optional(choice(False)),
            "truncation": optional(choice("disabled")),
            **{
                name: ignored()
                for name in (
                    "user",
                    "include",
                    "service_tier",
                    "safety_identifier",
                    "prompt_cache_key",
                    "prompt_cache_retention",
                    "stream_options",
                    "max_tool_calls",
                    "top_logprobs",
                )
            },
        },
        ["input"],
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRequest:
    """messages: the conversation to store with the answer; the request's own may begin with instructions."""

    request: AnswerRequest
    messages: tuple[Message, ...]
    streams: bool
    stores: bool


def parse(body: Body, earlier: Sequence[Message], defaults: SamplingParams, vocab_size: int) -> ResponseRequest:
    """A checked body, after the conversation earlier, as values. Raises InputError."""
    tools = tuple(function_of(tool) for tool in cast(Sequence[Body], body.get("tools", ())))
    messages = (*earlier, *_messages(body["input"]))
    instructions = cast("str | None", body.get("instructions"))
    beginning = [Message(role="system", content=instructions)] if instructions else []
    reasoning = cast(Body, body.get("reasoning", {}))
    limit = cast("int | None", reasoning.get("max_tokens"))
    return ResponseRequest(
        request=AnswerRequest(
            messages=one_system([*beginning, *messages]),
            params=sampling_of(
                body, defaults, max_tokens=cast("int | None", body.get("max_output_tokens")), vocab_size=vocab_size
            ),
            tools=tools,
            tool_choice=check_tool_choice(_tool_choice(body.get("tool_choice", "auto")), tools),
            parallel_calls=bool(body.get("parallel_tool_calls", True)),
            output=format_of(cast("Body | None", cast(Body, body.get("text", {})).get("format"))),
            thinking=effort_thinking(cast("str | None", reasoning.get("effort"))) if limit is None else limit or False,
        ),
        messages=messages,
        streams=bool(body.get("stream")),
        stores=bool(body.get("store", True)),
    )


def _tool_choice(chosen: object) -> ToolChoice:
    return NamedTool(name=str(chosen["name"])) if isinstance(chosen, dict) else cast(ToolChoice, chosen)


def _messages(sent: object) -> list[Message]:
    """Items as messages: an assistant's reasoning, text and calls in a row are one."""
    if isinstance(sent, str):
        return [Message(role="user", content=sent)]
    messages: list[Message] = []
    for index, item in enumerate(cast(Sequence[Body], sent)):
        addition = _message(item, f"input[{index}]")
        last = messages[-1] if messages else None
        if last is not None and last.role == addition.role == "assistant":
            messages[-1] = _joined(last, addition)
        else:
            messages.append(addition)
    if not messages:
        raise InputError("[request] input: expected at least one item")
    return messages


def _message(item: Body, where: str) -> Message:
    match item.get("type", "message"):
        case "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            calls = [{"id": item["call_id"], "function": function}]
            return message_from_json({"role": "assistant", "tool_calls": calls}, where=where)
        case "function_call_output":
            return Message(role="tool", content=joined_text(item["output"]), tool_call_id=str(item["call_id"]))
        case "reasoning":
            return Message(role="assistant", content="", reasoning=joined_text(item.get("content")) or None)
        case _:
            role = "system" if item["role"] == "developer" else item["role"]
            return Message(role=cast(Role, role), content=joined_text(item["content"]))


def _joined(one: Message, other: Message) -> Message:
    reasoning = (one.reasoning or "") + (other.reasoning or "")
    calls: tuple[ToolCall, ...] = (*one.tool_calls, *other.tool_calls)
    return replace(one, content=one.content + other.content, reasoning=reasoning or None, tool_calls=calls)
