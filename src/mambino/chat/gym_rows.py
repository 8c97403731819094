"""Rows of NeMo-Gym environments: their input (OpenAI's Responses form) as messages and tools. Start at gym_prompt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mambino.chat.messages import Message, ToolCall
from mambino.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class GymPrompt:
    """What a row asks."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, object], ...]


def gym_prompt(name: str, row: Mapping[str, object]) -> GymPrompt:
    """What the row's responses_create_params ask; name is for errors. Raises InputError if it has none."""
    params = row.get("responses_create_params")
    if not isinstance(params, Mapping) or not isinstance(params.get("input"), Sequence):
        raise InputError(f"[gym] row {name}: expected responses_create_params with input")
    tools = tuple(_tool(tool) for tool in params.get("tools") or ())
    return GymPrompt(messages=_messages(params["input"]), tools=tools)


def _messages(items: Sequence[Mapping[str, object]] | str) -> tuple[Message, ...]:
    if isinstance(items, str):
        return (Message(role="user", content=items),)
    messages: list[Message] = []
    for item in items:
        match item.get("type"):
            case "function_call":
                call = called(item)
                if messages and messages[-1].role == "assistant":
                    call_message = messages.pop()
                    messages.append(
                        Message(
                            role="assistant",
                            content=call_message.content,
                            tool_calls=(*call_message.tool_calls, call),
                        )
                    )
                else:
                    messages.append(Message(role="assistant", content="", tool_calls=(call,)))
            case "function_call_output":
                name = str(item.get("call_id", ""))
                messages.append(Message(role="tool", content=str(item.get("output", "")), tool_call_id=name))
            case None | "message":
                messages.append(_message(item))
            case kind:  # a reasoning item, for instance, which a new turn does not see
                if kind != "reasoning":
                    raise InputError(f"[gym] input item of type {kind!r} is not known")
    return tuple(messages)


def _message(item: Mapping[str, object]) -> Message:
    content = item.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content)
    role = "system" if item.get("role") == "developer" else item.get("role")
    if role not in ("system", "user", "assistant") or not isinstance(content, str):
        raise InputError(f"[gym] a message of role {item.get('role')!r} with {type(content).__name__} content")
    return Message(role=role, content=content)


def called(item: Mapping[str, object]) -> ToolCall:
    """A function_call item. Raises InputError if its arguments are not a JSON object."""
    try:
        arguments = json.loads(str(item.get("arguments") or "{}"))
    except ValueError as error:
        raise InputError(f"[gym] arguments of {item.get('name')}: {error}") from error
    if not isinstance(arguments, dict):
        raise InputError(f"[gym] arguments of {item.get('name')}: expected an object")
    return ToolCall(id=str(item.get("call_id", "")), name=str(item.get("name")), arguments=arguments)


def _tool(tool: Mapping[str, object]) -> dict[str, object]:
    function = tool.get("function", tool)
    assert isinstance(function, Mapping)
    return {key: function[key] for key in ("name", "description", "parameters") if function.get(key) is not None}
