"""JSON objects from outside: parsed strictly, every failure a FormatError that names the file.

Knows nothing of what they mean. Start at read_json.
"""

import json
from pathlib import Path

from mambino.errors import FormatError
from mambino.formats.mapped import map_file


def read_json(path: Path) -> dict[str, object]:
    """The JSON object in path. Raises FormatError if it is missing, not JSON, or not an object."""
    return parse_json_object(map_file(path).tobytes(), str(path))


def parse_json_object(encoded: bytes, where: str) -> dict[str, object]:
    """The JSON object in encoded; duplicate keys are refused. where begins the error message."""
    try:
        parsed = json.loads(encoded.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, duplicate key, absurd number or nesting
        raise FormatError(f"{where}: not valid JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise FormatError(f"{where}: expected a JSON object, got {type(parsed).__name__}")
    return parsed


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in unique if names.count(key) > 1)!r} appears twice")
    return unique
