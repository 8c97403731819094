"""Messages of a conversation as values, and their JSON form (the field's common one: role, content, ...).

Knows nothing of templates or tokens. Start at Message.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from mambino.errors import InputError

Role = Literal["system", "user", "assistant", "tool"]
_MESSAGE_KEYS = frozenset({"role", "content", "reasoning_content", "tool_calls", "tool_call_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call that the assistant asks for. arguments are JSON values by parameter name."""

    id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn. reasoning is the assistant's thinking, None if it did none; tool_call_id names the answered call."""

    role: Role
    content: str
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None

    def to_json(self) -> dict[str, object]:
        """A fresh dict of JSON values, absent fields left out: what templates and files read."""
        fields: dict[str, object] = {"role": self.role, "content": self.content}
        if self.reasoning is not None:
            fields["reasoning_content"] = self.reasoning
        if self.tool_calls:
            fields["tool_calls"] = [_call_to_json(call) for call in self.tool_calls]
        if self.tool_call_id is not None:
            fields["tool_call_id"] = self.tool_call_id
        return fields


def _call_to_json(call: ToolCall) -> dict[str, object]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": dict(call.arguments)},
    }


def message_from_json(fields: object, *, where: str = "message") -> Message:
    """The inverse of Message.to_json; where names the place in errors. Raises InputError for anything unknown."""
    if not isinstance(fields, Mapping):
        raise InputError(f"[chat] {where}: expected an object with role and content, got {type(fields).__name__}")
    unknown = sorted(str(key) for key in fields if key not in _MESSAGE_KEYS)
    if unknown:
        raise InputError(f"[chat] {where}: unknown field {unknown[0]!r}; known are {', '.join(sorted(_MESSAGE_KEYS))}")
    role = fields.get("role")
    if role not in get_args(Role):
        raise InputError(f"[chat] {where}: role must be one of {', '.join(get_args(Role))}, got {role!r}")
    calls = fields.get("tool_calls") or ()
    if not isinstance(calls, Sequence) or isinstance(calls, str):
        raise InputError(f"[chat] {where}: tool_calls must be a list, got {type(calls).__name__}")
    return Message(
        role=cast(Role, role),
        content=_text(fields, "content", where) or "",
        reasoning=_text(fields, "reasoning_content", where),
        tool_calls=tuple(_call_from_json(call, f"{where}.tool_calls[{index}]") for index, call in enumerate(calls)),
        tool_call_id=_text(fields, "tool_call_id", where),
    )


def _text(fields: Mapping[str, object], key: str, where: str) -> str | None:
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(_is_text_part(part) for part in value):
        return "".join(part["text"] for part in value)
    raise InputError(f"[chat] {where}: {key} must be text, got {type(value).__name__}; only text parts are supported")


def _is_text_part(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _call_from_json(call: object, where: str) -> ToolCall:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise InputError(f"[chat] {where}: expected an object with function.name and function.arguments")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except json.JSONDecodeError as error:
            raise InputError(f"[chat] {where}: arguments are not JSON: {error}") from error
    if not isinstance(arguments, Mapping):
        raise InputError(f"[chat] {where}: arguments must be an object, got {type(arguments).__name__}")
    return ToolCall(id=str(call.get("id", "")), name=str(function["name"]), arguments=dict(arguments))
