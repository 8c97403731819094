"""JSON schemas of requests: small builders, and a checker whose complaints name the field.

The same schemas are published at /openapi.json. Knows no API in particular. Start at Checker.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from mambino.errors import InputError

Schema = dict[str, object]
Body = dict[str, object]

IGNORED = "x-ignored"  # marks a field that is accepted, does nothing, and is listed in the reply's header
# To JSON Schema 2.0 is an integer; to Python it is not.
_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda checker, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
_SHOWN_CHARS = 300  # of a complaint; it may quote the request


def fields(properties: Mapping[str, Schema], required: Sequence[str] = ()) -> Schema:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def text(**limits: object) -> Schema:
    return {"type": "string", **limits}


def number(low: float, high: float) -> Schema:
    """May be null, as every optional field may."""
    return {"type": ["number", "null"], "minimum": low, "maximum": high}


def integer(low: int, high: int) -> Schema:
    return {"type": ["integer", "null"], "minimum": low, "maximum": high}


def flag() -> Schema:
    return {"type": ["boolean", "null"]}


def listed(items: Schema, **limits: object) -> Schema:
    return {"type": "array", "items": items, **limits}


def choice(*values: object) -> Schema:
    return {"enum": list(values)}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def optional(schema: Schema) -> Schema:
    return either(schema, {"type": "null"})


def ignored(schema: Schema | None = None) -> Schema:
    return {**(schema or {}), IGNORED: True}


def tagged(tag: str, variants: Mapping[str, Schema]) -> Schema:
    """One of several objects, told apart by the text in field tag: complaints then speak of that one."""
    return {
        "type": "object",
        "required": [tag],
        "properties": {tag: {"enum": list(variants)}},
        "allOf": [
            {"if": {"properties": {tag: {"const": name}}, "required": [tag]}, "then": schema}
            for name, schema in variants.items()
        ],
    }


class Checker:
    """Checks bodies against one schema of fields(...)."""

    def __init__(self, schema: Schema) -> None:
        _Validator.check_schema(schema)
        self.schema = schema
        self._validator = _Validator(schema)
        properties = cast(Mapping[str, Mapping[str, object]], schema["properties"])
        self._ignored = frozenset(name for name, one in properties.items() if one.get(IGNORED))

    def check(self, body: object) -> Body:
        """body, without its nulls. Raises InputError that names the field and what it should be."""
        error = best_match(self._validator.iter_errors(body))
        if error is not None:
            raise InputError(f"[request] {_complaint(error)}")
        return {name: value for name, value in cast(Body, body).items() if value is not None}

    def ignored(self, body: Body) -> list[str]:
        """The fields of a checked body that will do nothing."""
        return sorted(name for name in body if name in self._ignored)


def _complaint(error: ValidationError) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = cast(Mapping[str, object], cast(Schema, error.schema)["properties"])
        unknown = next(name for name in error.instance if name not in known)
        where = f"{path}.{unknown}" if path else str(unknown)
        return _short(f"{where}: unknown field; known are {', '.join(sorted(known))}")
    if error.validator == "required" and isinstance(error.instance, Mapping):
        missing = next(name for name in cast(Sequence[str], error.validator_value) if name not in error.instance)
        return _short(f"{path}.{missing}: required".lstrip("."))
    if error.validator == "enum":
        allowed = ", ".join(repr(value) for value in cast(Sequence[object], error.validator_value))
        return f"{path or 'body'}: expected one of {allowed}, got {_short(repr(error.instance))}"
    return f"{path or 'body'}: {_short(error.message)}"


def _short(message: str) -> str:
    return message if len(message) <= _SHOWN_CHARS else f"{message[:_SHOWN_CHARS]}..."
