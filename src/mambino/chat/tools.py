"""Python functions as tools that a model may call: described from their signatures and docstrings.

Knows functions only; toolbox.py runs them. Start at tool.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Union, get_args, get_origin, overload

from mambino.chat.docstrings import documented
from mambino.chat.json_types import python_value, schema_of
from mambino.chat.wire.format import check_tool_name
from mambino.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function with its description for the model.

    run takes the arguments by name, already checked against parameters (a JSON schema); it may be a coroutine function.
    timeout_s None takes the tool box's. asks_first: a person should agree to each call, where there is one to ask.
    Raises InputError for a name that no wire format can carry.
    """

    name: str
    description: str
    parameters: Mapping[str, object]
    run: Callable[[Mapping[str, object]], object]
    timeout_s: float | None = None
    asks_first: bool = False

    def __post_init__(self) -> None:
        check_tool_name(self.name)

    @property
    def schema(self) -> dict[str, object]:
        """As templates and the wire expect it, in this order of keys."""
        return {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}


@overload
def tool(function: Callable[..., object], /) -> Tool: ...
@overload
def tool(*, name: str | None = None, timeout_s: float | None = None) -> Callable[[Callable[..., object]], Tool]: ...
def tool(
    function: Callable[..., object] | None = None, /, *, name: str | None = None, timeout_s: float | None = None
) -> Tool | Callable[[Callable[..., object]], Tool]:
    """Make a Tool of a function, also as a decorator: types give the schema, the docstring the descriptions.

    Types: str, int, float, bool, None, Literal, Enum, list, dict, unions, dataclasses, TypedDict; Annotated[T, "text"]
    describes one too. A parameter `T | None = None` may be left out, or be null.

    Raises     InputError for a parameter without a type, or with one that has no JSON form
    """
    if function is None:
        return lambda wrapped: _made(wrapped, name, timeout_s)
    return _made(function, name, timeout_s)


def _made(function: Callable[..., object], name: str | None, timeout_s: float | None) -> Tool:
    said = documented(function)
    title = name or function.__name__
    hints = _hints(function, title)
    properties: dict[str, object] = {}
    required = []
    for key, parameter in inspect.signature(function).parameters.items():
        where = f"parameter {key!r} of {title}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) or key not in hints:
            raise InputError(f"[tools] {where}: expected a named parameter with a type; write {key}: str, for example")
        kind = _without_none(hints[key]) if parameter.default is None else hints[key]
        schema = schema_of(kind, where=where)
        if key in said.parameters:
            schema.setdefault("description", said.parameters[key])
        if parameter.default is parameter.empty:
            required.append(key)
        elif isinstance(parameter.default, str | int | float):
            schema["default"] = parameter.default
        properties[key] = schema
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    run = _call_with_values(function, hints)
    return Tool(name=title, description=said.summary, parameters=parameters, run=run, timeout_s=timeout_s)


def _hints(function: Callable[..., object], title: str) -> dict[str, object]:
    try:
        return inspect.get_annotations(function, eval_str=True)
    except NameError as error:
        raise InputError(f"[tools] {title}: {error}; types of parameters must be importable") from error


def _without_none(kind: object) -> object:
    """T of T | None: a parameter that defaults to None is left out rather than null."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    parts = tuple(part for part in get_args(kind) if part is not types.NoneType)
    return Union[parts]  # noqa: UP007 (made at run time)


def _call_with_values(
    function: Callable[..., object], hints: Mapping[str, object]
) -> Callable[[Mapping[str, object]], object]:
    def run(arguments: Mapping[str, object]) -> object:
        return function(**{key: python_value(value, hints[key]) for key, value in arguments.items()})

    return run
