"""Raw text becomes the JSON type that the schema wants, or stays text."""

import json

import pytest

from mambino.chat.wire.format import Schema
from mambino.chat.wire.typed_values import is_text, property_schemas, restored

MANY_DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("3", {"type": "integer"}, 3),
        ("3.0", {"type": "integer"}, 3),
        ("3.5", {"type": "integer"}, "3.5"),
        ("3", {"type": "number"}, 3),
        ("True", {"type": "boolean"}, True),
        ("true", {"type": "boolean"}, True),
        ("yes", {"type": "boolean"}, "yes"),
        (" [1, 2]\n", {"type": "array"}, [1, 2]),
        ('{"a": NaN}', {"type": "object"}, '{"a": NaN}'),
        ("[1e999]", {"type": "array"}, "[1e999]"),
        (MANY_DIGITS, {"type": "integer"}, MANY_DIGITS),
        ("[" * 9999, {"type": "array"}, "[" * 9999),
        ("null", {"type": ["string", "null"]}, None),
        ("12", {"type": ["string", "null"]}, "12"),
        ("12", {"anyOf": [{"type": "string"}, {"type": "integer"}]}, 12),
        ("2", {"enum": [1, 2]}, 2),
        ("12", {}, 12),
        ('"x"', {}, '"x"'),
        ("12", None, 12),
        ("plain", None, "plain"),
        ("3", {"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}, 3),
        ("3", {"$ref": "#/$defs/missing"}, 3),
    ],
)
def test_types_come_from_the_schema(text: str, schema: Schema | None, value: object) -> None:
    assert json.loads(restored(text, schema)) == value


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, True),
        ({"enum": ["a", "b"]}, True),
        ({"const": "a"}, True),
        ({"type": ["string", "null"]}, False),
        ({}, False),
        (None, False),
    ],
)
def test_only_certain_strings_are_text(schema: Schema | None, expected: bool) -> None:
    assert is_text(schema) == expected


def test_references_reach_the_definitions_of_the_tool() -> None:
    parameters = {"$defs": {"t": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/t"}, "b": True}}
    schemas = property_schemas(parameters)
    assert is_text(schemas["a"])
    assert list(schemas) == ["a"]


def test_a_reference_to_itself_ends() -> None:
    assert not is_text({"$defs": {"t": {"$ref": "#/$defs/t"}}, "$ref": "#/$defs/t"})


def test_a_schema_of_many_references_to_itself_ends_soon() -> None:
    many: Schema = {"$defs": {"t": {"anyOf": [{"$ref": "#/$defs/t"}] * 100}}, "$ref": "#/$defs/t"}
    assert not is_text(many)
    assert restored("3", many) == "3"
