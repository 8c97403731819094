"""Calls out of an answer in any of the field's forms: OpenAI's tool_calls, {name: arguments}, JSON text, tagged JSON,
Python text.

Start at calls_of.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from mambino.errors import InputError
from mambino.scoring.call_syntax import MAX_TEXT, Call, parse_calls

_TAG = re.compile(r"<(/?)(tool_call|TOOLCALL)>")
_NAME_KEYS = ("name", "tool_name", "function_name")
_ARGUMENT_KEYS = ("arguments", "parameters", "args")


def calls_of(answer: object) -> tuple[Call, ...]:
    """The calls of an answer: text, one call, or a list of calls.

    Raises     InputError if it holds none in any known form; an empty list is no error
    """
    if isinstance(answer, str):
        return _from_text(answer)
    if isinstance(answer, Mapping):
        return (_from_mapping(answer),)
    if isinstance(answer, Sequence):
        return tuple(call for item in answer for call in _from_item(item))
    raise InputError(f"[calls] expected text or a list of calls, got {type(answer).__name__}")


def _from_item(item: object) -> tuple[Call, ...]:
    if isinstance(item, Mapping):
        return (_from_mapping(item),)
    raise InputError(f"[calls] expected a call, got {type(item).__name__}")


def _from_text(text: str) -> tuple[Call, ...]:
    if len(text) > MAX_TEXT:
        raise InputError(f"[calls] {len(text)} characters are no list of calls")
    tagged = [inner.strip() for inner in _tagged(text)]
    if tagged:
        return tuple(call for inner in tagged for call in _from_json_or_python(inner))
    return _from_json_or_python(text)


def _tagged(text: str) -> Iterator[str]:
    """What stands between a tag and its end, in one pass however many tags are never closed."""
    opened: dict[str, int] = {}
    for tag in _TAG.finditer(text):
        is_end, name = tag.groups()
        if not is_end:
            opened.setdefault(name, tag.end())
        elif name in opened:
            yield text[opened[name] : tag.start()]
            opened.clear()


def _from_json_or_python(text: str) -> tuple[Call, ...]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return parse_calls(text)
    if isinstance(found, list | dict):
        return calls_of(found)
    return parse_calls(text)


def _from_mapping(item: Mapping[str, object]) -> Call:
    """{"name", "arguments"}, the same under "function", or {name: arguments}."""
    function = item.get("function")
    if isinstance(function, Mapping):
        return _from_mapping(function)
    name = next((item[key] for key in _NAME_KEYS if isinstance(item.get(key), str)), None)
    if name is not None and any(key in item for key in _ARGUMENT_KEYS):
        return Call(name=str(name), arguments=_arguments(next(item[key] for key in _ARGUMENT_KEYS if key in item)))
    if len(item) != 1:
        raise InputError(f"[calls] expected a call, got an object with {', '.join(item) or 'nothing'}")
    ((only, arguments),) = item.items()
    return Call(name=only, arguments=_arguments(arguments))


def _arguments(given: object) -> Mapping[str, object]:
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise InputError(f"[calls] arguments are not JSON: {error}") from error
    if not isinstance(given, Mapping):
        raise InputError(f"[calls] arguments: expected an object, got {type(given).__name__}")
    return given
