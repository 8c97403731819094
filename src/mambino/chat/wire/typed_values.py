"""The JSON type of a value that a model wrote as raw text, restored from its parameter's schema.

Knows schemas only. Start at restored.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NoReturn

from mambino.chat.wire.format import Schema

_PYTHON_SPELLINGS = {"True": True, "False": False, "None": None}
_MAX_DEPTH = 8  # of references and alternatives
_MAX_ALTERNATIVES = 1000  # looked at in all: schemas may refer to themselves


def property_schemas(parameters: Schema) -> dict[str, Schema]:
    """Schemas by parameter, each with the definitions that its references may name."""
    properties = parameters.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    shared = {key: parameters[key] for key in ("$defs", "definitions") if key in parameters}
    return {str(key): {**shared, **schema} for key, schema in properties.items() if isinstance(schema, Mapping)}


def is_text(schema: Schema | None) -> bool:
    """Whether every value must be a string: then the raw text is the value."""
    return schema is not None and _types(schema) == {"string"}


def restored(text: str, schema: Schema | None) -> str:
    """JSON text of the value: read as JSON if that has a type which schema allows, else text as a string.

    schema None allows every type.
    """
    types = _types(schema) if schema is not None else frozenset()
    try:
        value = _read(text.strip())
        kind = _type_of(value)
        if kind == "number" and "number" not in types and isinstance(value, float) and value.is_integer():
            value, kind = int(value), "integer"  # 3.0 where an integer is wanted
        if kind != "string" and (not types or kind in types or (kind == "integer" and "number" in types)):
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):  # not JSON, an infinite or a huge number, or nested too deeply
        pass
    return json.dumps(text, ensure_ascii=False)


def _read(text: str) -> object:
    if text in _PYTHON_SPELLINGS:
        return _PYTHON_SPELLINGS[text]
    value: object = json.loads(text, parse_constant=_refuse)
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _type_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _types(schema: Schema) -> frozenset[str]:
    """Types that schema allows; empty if it does not say."""
    found = set(islice(_allowed(schema, schema, _MAX_DEPTH), _MAX_ALTERNATIVES))
    return frozenset() if "" in found else frozenset(found)


def _allowed(schema: object, root: Schema, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping) or depth == 0:
        yield ""
        return
    declared, reference = schema.get("type"), schema.get("$ref")
    if isinstance(declared, str):
        yield declared
    elif isinstance(declared, list):
        yield from map(str, declared)
    elif isinstance(schema.get("enum"), list):
        yield from map(_type_of, schema["enum"])
    elif "const" in schema:
        yield _type_of(schema["const"])
    elif isinstance(reference, str):
        yield from _allowed(_resolved(reference, root), root, depth - 1)
    else:
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        for alternative in alternatives if isinstance(alternatives, list) else ("",):
            yield from _allowed(alternative, root, depth - 1)


def _resolved(reference: str, root: Schema) -> object:
    """What a local reference (#/$defs/name) names; None if nothing."""
    target: object = root if reference.startswith("#/") else None
    for step in reference.removeprefix("#/").split("/"):
        target = target.get(step) if isinstance(target, Mapping) else None
    return target
