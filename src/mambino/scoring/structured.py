"""Structured output: is the whole reply one JSON, YAML, XML, TOML or CSV document of a schema?

The schema is made strict (every property required, none added), as NeMo-Gym's structured_outputs does; content is not
judged. XML and CSV carry only text, so their values are converted to the types the schema asks for.
Start at score_structured, which limits the time, and judge_structured, which does not.
"""

import csv
import io
import json
import tomllib
from collections.abc import Mapping
from typing import Literal, cast
from xml.etree import ElementTree

from mambino.errors import Unsupported
from mambino.scoring.limited import limited
from mambino.scoring.scored import Scored, right, unscored, wrong

Format = Literal["json", "yaml", "xml", "toml", "csv"]
Schema = Mapping[str, object]
MAX_TEXT = 1_000_000  # characters


def score_structured(text: str, schema: Schema, form: Format) -> Scored:
    """1 if the whole text parses and fits the strict schema; code fences are not stripped. Unscored if time is up.

    Raises     Unsupported if a library for it is missing (extra `evals`)
    """
    outcome = limited("structured", {"text": text, "schema": schema, "form": form})
    return Scored(**outcome.result) if isinstance(outcome.result, dict) else unscored(outcome.reason)


def judge_structured(text: str, schema: Schema, form: Format) -> Scored:
    """The same in this process, however long a pattern of the schema takes on the text."""
    if not text.strip():
        return wrong("an empty reply")
    if len(text) > MAX_TEXT:
        return wrong(f"more than {MAX_TEXT} characters")
    strict = cast(Schema, strictified(schema))
    try:
        document = _parse(text, strict, form)
    except (ValueError, ElementTree.ParseError, csv.Error, RecursionError) as error:
        return wrong(f"no {form}: {error}")
    fault = _schema_fault(document, strict)
    return wrong(fault) if fault else right()


def strictified(schema: object) -> object:
    """A copy in which every object requires all of its properties and allows no others, at every depth."""
    if isinstance(schema, list):
        return [strictified(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    strict = {key: strictified(value) for key, value in schema.items()}
    properties = strict.get("properties")
    if isinstance(properties, Mapping):
        strict["required"] = list(properties)
        strict["additionalProperties"] = False
    return strict


def _parse(text: str, schema: Schema, form: Format) -> object:
    match form:
        case "json":
            return json.loads(text)
        case "yaml":
            return _yaml(text)
        case "toml":
            return tomllib.loads(text)
        case "csv":
            return _converted(list(csv.DictReader(io.StringIO(text), strict=True)), schema)
        case "xml":
            if "<!DOCTYPE" in text or "<!ENTITY" in text:
                raise ValueError("declarations are refused")
            return _converted(_xml(ElementTree.fromstring(text)), schema)


def _yaml(text: str) -> object:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise Unsupported("[scoring] YAML output needs PyYAML: pip install 'mambino[evals]'") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _xml(element: ElementTree.Element) -> object:
    """Text of a leaf, else a dict by tag, repeated tags as lists."""
    if not len(element):
        return element.text or ""
    children: dict[str, object] = {}
    for child in element:
        value = _xml(child)
        if child.tag in children:
            before = children[child.tag]
            children[child.tag] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            children[child.tag] = value
    return children


def _converted(value: object, schema: object) -> object:
    """Text to the types of the schema where it can be; a dict of one key where an array belongs is unwrapped."""
    if not isinstance(schema, Mapping):
        return value
    kind = schema.get("type")
    if kind == "array":
        if isinstance(value, dict) and len(value) == 1:
            value = next(iter(value.values()))
        if value == "":
            return []
        items = value if isinstance(value, list) else [value]
        return [_converted(item, schema.get("items")) for item in items]
    properties = schema.get("properties")
    if isinstance(value, dict) and isinstance(properties, Mapping):
        return {key: _converted(item, properties.get(key)) for key, item in value.items()}
    return _scalar(value, kind) if isinstance(value, str) else value


def _scalar(text: str, kind: object) -> object:
    kinds = kind if isinstance(kind, list) else [kind]
    if text == "" and "null" in kinds and "string" not in kinds:
        return None
    if "boolean" in kinds and text.strip().lower() in ("true", "false"):
        return text.strip().lower() == "true"
    for name, convert in (("integer", int), ("number", float)):
        if name in kinds:
            try:
                return convert(text)
            except ValueError:
                continue
    return text


def _schema_fault(document: object, schema: Schema) -> str | None:
    try:
        import jsonschema
    except ModuleNotFoundError as error:
        raise Unsupported("[scoring] schemas need the package jsonschema: pip install 'mambino[evals]'") from error
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    fault = next(iter(validator(schema).iter_errors(document)), None)
    return None if fault is None else f"{fault.json_path}: {fault.message}"
