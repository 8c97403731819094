"""Whether a JSON value matches a schema, told in words that a model can act on. Start at SchemaCheck."""

from collections.abc import Mapping
from itertools import islice

from mambino.errors import InputError, ToolError

MAX_PROBLEMS = 5
_MAX_PROBLEM_CHARS = 200


class SchemaCheck:
    """One schema, ready. References are followed inside it only: nothing is ever fetched."""

    def __init__(self, schema: Mapping[str, object], *, where: str) -> None:
        """where names the schema's owner in errors. Raises InputError for what is no JSON schema."""
        import jsonschema  # takes a fifth of a second, which only users of tools should pay
        import referencing

        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise InputError(f"[tools] {where}: not a JSON schema: {error.message[:_MAX_PROBLEM_CHARS]}") from error
        self._validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())
        self._unresolvable = referencing.exceptions.Unresolvable
        self._where = where

    def problems(self, value: object) -> list[str]:
        """What is wrong with value, the first few; empty if it matches.

        Raises     ToolError if the schema refers to something outside itself
        """
        try:
            return [
                f"{error.json_path.removeprefix('$').removeprefix('.') or 'arguments'}: "
                f"{error.message[:_MAX_PROBLEM_CHARS]}"
                for error in islice(self._validator.iter_errors(value), MAX_PROBLEMS)
            ]
        except self._unresolvable as error:
            raise ToolError(f"{self._where} cannot be called: its schema refers to {error.ref!r}, elsewhere") from error
