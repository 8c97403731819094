"""The body of a chat completion: its schema, and what it asks of the model. Start at parse."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from mambino.chat.messages import Message, message_from_json
from mambino.chat.request import AnswerRequest, NamedTool, ToolChoice
from mambino.errors import InputError
from mambino.generation.params import SamplingParams
from mambino.server.asked import (
    FUNCTION,
    GUIDED,
    HARMLESS,
    MAX_CHOICES,
    MAX_TOOLS,
    OBJECT,
    SAMPLING,
    THINKING,
    check_tool_choice,
    format_of,
    function_of,
    guided_of,
    one_system,
    sampling_of,
    several,
    thinking_of,
)
from mambino.server.schema import (
    Body,
    Checker,
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

_TEXT_PARTS = listed(fields({"type": choice("text"), "text": text()}, ["type", "text"]))
_CONTENT = either(text(), _TEXT_PARTS)
_CALL = fields(
    {
        "id": text(),
        "type": choice("function"),
        "index": ignored(),
        "function": fields({"name": text(minLength=1), "arguments": either(text(), OBJECT)}, ["name", "arguments"]),
    },
    ["id", "function"],
)
_NAME = {"role": text(), "name": ignored()}
_MESSAGE = tagged(
    "role",
    {
        "system": fields({**_NAME, "content": _CONTENT}, ["content"]),
        "developer": fields({**_NAME, "content": _CONTENT}, ["content"]),
        "user": fields({**_NAME, "content": _CONTENT}, ["content"]),
        "assistant": fields(
            {
                **_NAME,
                "content": optional(_CONTENT),
                "reasoning_content": optional(text()),
                "tool_calls": optional(listed(_CALL)),
                **{name: ignored() for name in ("refusal", "annotations", "audio", "function_call")},
            }
        ),
        "tool": fields({**_NAME, "content": _CONTENT, "tool_call_id": text()}, ["content", "tool_call_id"]),
    },
)
_JSON_SCHEMA = fields(
    {"name": text(), "description": optional(text()), "schema": optional(OBJECT), "strict": flag()}, ["name"]
)
_RESPONSE_FORMAT = tagged(
    "type",
    {
        "text": fields({"type": text()}),
        "json_object": fields({"type": text()}),
        "json_schema": fields({"type": text(), "json_schema": _JSON_SCHEMA}, ["json_schema"]),
    },
)
_TOOL_CHOICE = either(
    choice("none", "auto", "required"),
    fields({"type": choice("function"), "function": fields({"name": text()}, ["name"])}, ["type", "function"]),
)

CHAT_COMPLETION = Checker(
    fields(
        {
            **CHOICE,
            "messages": listed(_MESSAGE, minItems=1),
            **SAMPLING,
            **THINKING,
            **GUIDED,
            "max_tokens": integer(1, 2**31),
            "max_completion_tokens": integer(1, 2**31),
            "n": integer(1, MAX_CHOICES),
            "logprobs": flag(),
            "top_logprobs": integer(0, 20),
            "tools": optional(
                listed(
                    fields({"type": choice("function"), "function": FUNCTION}, ["type", "function"]),
                    maxItems=MAX_TOOLS,
                )
            ),
            "tool_choice": optional(_TOOL_CHOICE),
            "parallel_tool_calls": flag(),
            "response_format": optional(_RESPONSE_FORMAT),
            "stream": flag(),
            "stream_options": optional(fields({"include_usage": flag(), "include_obfuscation": ignored()})),
            "return_progress": flag(),
            **HARMLESS,
            "modalities": ignored(optional(listed(choice("text")))),
        },
        ["messages"],
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletion:
    """requests has one entry for each choice; streams_progress: the prompt's progress goes out as chunks."""

    requests: tuple[AnswerRequest, ...]
    streams: bool
    includes_usage: bool
    streams_progress: bool
    has_logprobs: bool


def parse(body: Body, defaults: SamplingParams, vocab_size: int) -> ChatCompletion:
    """A checked body as values. Raises InputError."""
    tools = tuple(function_of(cast(Body, tool["function"])) for tool in cast(Sequence[Body], body.get("tools", ())))
    limit = cast("int | None", body.get("max_completion_tokens", body.get("max_tokens")))
    params = sampling_of(body, defaults, max_tokens=limit, vocab_size=vocab_size)
    has_logprobs = bool(body.get("logprobs"))
    if "top_logprobs" in body and not has_logprobs:
        raise InputError("[request] top_logprobs: needs logprobs true")
    if has_logprobs:
        params = replace(params, logprobs=cast(int, body.get("top_logprobs", 0)))
    request = AnswerRequest(
        messages=one_system(
            [_message(fields, index) for index, fields in enumerate(cast(Sequence[Body], body["messages"]))]
        ),
        params=params,
        tools=tools,
        tool_choice=check_tool_choice(_tool_choice(body.get("tool_choice", "auto")), tools),
        parallel_calls=bool(body.get("parallel_tool_calls", True)),
        output=guided_of(body, format_of(cast("Body | None", body.get("response_format")))),
        thinking=thinking_of(body),
    )
    options = cast(Body, body.get("stream_options", {}))
    return ChatCompletion(
        requests=tuple(replace(request, params=one) for one in several(params, cast(int, body.get("n", 1)))),
        streams=bool(body.get("stream")),
        includes_usage=bool(options.get("include_usage")),
        streams_progress=bool(body.get("return_progress")),
        has_logprobs=has_logprobs,
    )


def _message(sent: Body, index: int) -> Message:
    role = "system" if sent["role"] == "developer" else sent["role"]
    known = {
        name: sent[name] for name in ("reasoning_content", "tool_calls", "tool_call_id") if sent.get(name) is not None
    }
    content = joined_text(sent.get("content"))
    return message_from_json({"role": role, "content": content, **known}, where=f"messages[{index}]")


def joined_text(content: object) -> str:
    """Text, or a list of text parts, as one text; None is empty."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(str(part["text"]) for part in cast(Sequence[Mapping[str, object]], content))


def _tool_choice(chosen: object) -> ToolChoice:
    if isinstance(chosen, Mapping):
        return NamedTool(name=str(chosen["function"]["name"]))
    return cast(ToolChoice, chosen)
