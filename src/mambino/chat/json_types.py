"""Python types as JSON schemas, and JSON values as values of those types: what tools need of a signature.

Knows types only. Start at schema_of and python_value.
"""

import dataclasses
import enum
import types
from collections.abc import Callable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from mambino.errors import InputError

Schema = dict[str, object]
_SIMPLE: dict[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_LISTS: dict[object, Callable[[list[object]], object]] = {
    list: list,
    Sequence: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}


def schema_of(kind: object, *, where: str) -> Schema:
    """The schema of values of this type; where names the place in errors.

    Raises     InputError for a type without a JSON form
    """
    if kind in (Any, object):
        return {}
    if kind in _SIMPLE:
        return {"type": _SIMPLE[kind]}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        texts = [text for text in arguments[1:] if isinstance(text, str)]
        return schema_of(arguments[0], where=where) | ({"description": texts[0]} if texts else {})
    if origin in (Required, NotRequired):
        return schema_of(arguments[0], where=where)
    if origin is Literal:
        return _enum_schema(list(arguments), where)
    if origin in (Union, types.UnionType):
        return _union_schema([schema_of(argument, where=where) for argument in arguments])
    if (origin or kind) in _LISTS:
        is_typed = bool(arguments) and (origin is not tuple or arguments[1:] == (...,))
        return {"type": "array"} | ({"items": schema_of(arguments[0], where=where)} if is_typed else {})
    if (origin or kind) in (dict, Mapping):
        values = {"additionalProperties": schema_of(arguments[1], where=where)} if arguments else {}
        return {"type": "object", **values}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum_schema([member.value for member in kind], where)
    fields = _fields(kind)
    if fields is not None:
        return _object_schema(fields, where)
    raise InputError(
        f"[tools] {where}: type {kind!r} has no JSON form; use str, int, float, bool, Literal, Enum, list, dict, "
        "a dataclass or a TypedDict"
    )


def _enum_schema(values: list[object], where: str) -> Schema:
    kinds = {_SIMPLE.get(type(value)) for value in values}
    if None in kinds:
        raise InputError(f"[tools] {where}: choices must be texts, numbers, booleans or None, got {values!r}")
    return {"type": next(iter(kinds)), "enum": values} if len(kinds) == 1 else {"enum": values}


def _union_schema(alternatives: list[Schema]) -> Schema:
    if all(alternative.keys() == {"type"} for alternative in alternatives):
        return {"type": [alternative["type"] for alternative in alternatives]}
    return {"anyOf": alternatives}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    kind: object
    is_required: bool


def _fields(kind: object) -> dict[str, _Field] | None:
    """Of a dataclass or a TypedDict; None of anything else."""
    if is_typeddict(kind):
        named = cast(Any, kind)
        hints = get_type_hints(named, include_extras=True)
        return {name: _Field(kind=hint, is_required=name in named.__required_keys__) for name, hint in hints.items()}
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    hints = get_type_hints(kind, include_extras=True)
    return {
        field.name: _Field(
            kind=hints[field.name],
            is_required=field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(kind)
        if field.init
    }


def _object_schema(fields: Mapping[str, _Field], where: str) -> Schema:
    return {
        "type": "object",
        "properties": {name: schema_of(field.kind, where=f"{where}.{name}") for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field.is_required],
        "additionalProperties": False,
    }


def python_value(value: object, kind: object) -> object:
    """value, which matches the schema of kind, as a value of kind: enum members, dataclasses, tuples, floats."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Annotated, Required, NotRequired):
        return python_value(value, arguments[0])
    if origin in (Union, types.UnionType):
        return python_value(value, next(argument for argument in arguments if _may_be(value, argument)))
    if kind is float and isinstance(value, int):
        return float(value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if isinstance(value, list) and (origin or kind) in _LISTS:
        item = arguments[0] if arguments else Any
        return _LISTS[origin or kind]([python_value(part, item) for part in value])
    if isinstance(value, Mapping):
        return _python_object(value, kind)
    return value


def _python_object(value: Mapping[str, object], kind: object) -> object:
    fields = _fields(kind)
    if fields is None:
        item = get_args(kind)[1] if len(get_args(kind)) == 2 else Any
        return {name: python_value(part, item) for name, part in value.items()}
    made = {name: python_value(part, fields[name].kind) for name, part in value.items()}
    return made if is_typeddict(kind) else cast(Callable[..., object], kind)(**made)


def _may_be(value: object, kind: object) -> bool:
    """Whether value has the JSON type of kind; schemas of unions are checked no deeper."""
    schema = schema_of(kind, where="union")
    if "enum" in schema:
        return value in cast(list[object], schema["enum"])
    if "anyOf" in schema or "type" not in schema:
        return True
    found = "object" if isinstance(value, Mapping) else "array" if isinstance(value, list) else _SIMPLE[type(value)]
    fields = _fields(kind)
    if fields is not None and isinstance(value, Mapping):
        needed = {name for name, field in fields.items() if field.is_required}
        return needed <= value.keys() <= fields.keys()
    allowed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return found in allowed or (found == "integer" and "number" in allowed)
