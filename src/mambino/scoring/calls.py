"""BFCL's single-turn check: do calls match a function's description and the allowed values of every argument?

Follows the official AST checker (bfcl-eval 2026.3.23, Python categories), its leniency and its strictness alike.
Start at match_calls.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from mambino.scoring.call_syntax import Call
from mambino.scoring.scored import Scored, right, wrong

CallKind = Literal["simple", "multiple", "parallel"]
Function = Mapping[str, object]  # {"name", "parameters": {"properties", "required"}}
Allowed = Mapping[
    str, Mapping[str, Sequence[object]]
]  # {name: {argument: allowed values}}; "" means it may be left out

_TYPES: Mapping[str, type] = {
    "string": str,
    "integer": int,
    "float": float,
    "boolean": bool,
    "array": list,
    "tuple": list,
    "dict": dict,
    "any": str,
}
_IGNORED = re.compile(r"[ ,./\-_*^]")


def match_calls(
    kind: CallKind, functions: Sequence[Function], calls: Sequence[Call], allowed: Sequence[Allowed]
) -> Scored:
    """Score calls against allowed, one entry for each call expected.

    simple: exactly one call, of functions[0]. multiple: one call, of the function that allowed names. parallel: as
    many calls as allowed has, in any order.

    Raises     KeyError or TypeError if a description lacks what the check needs; the caller counts that as unscored
    """
    if len(calls) != len(allowed):
        return wrong(f"expected {len(allowed)} calls, got {len(calls)}")
    if kind == "simple":
        fault = _fault(functions[0], calls[0], allowed[0])
        return wrong(fault) if fault else right()
    remaining = list(calls)
    for expected in allowed:
        function = _description(functions, next(iter(expected)))
        faults: list[str] = []
        for index, call in enumerate(remaining):
            fault = _fault(function, call, expected)
            if fault is None:
                del remaining[index]
                break
            faults.append(fault)
        else:
            return wrong(f"no call matches {next(iter(expected))}: " + "; ".join(faults))
    return right()


def _description(functions: Sequence[Function], name: str) -> Function:
    for function in functions:
        if function["name"] == name:
            return function
    raise KeyError(f"no description of the function {name}")


def _fault(function: Function, call: Call, expected: Allowed) -> str | None:
    """What is wrong with the call, or None."""
    allowed = next(iter(expected.values()))
    if call.name != function["name"]:
        return f"expected a call of {function['name']}, got {call.name}"
    parameters = function["parameters"]
    assert isinstance(parameters, Mapping)
    for name in parameters["required"]:
        if name not in call.arguments:
            return f"required argument {name} is missing"
    for name, value in call.arguments.items():
        if name not in parameters["properties"] or name not in allowed:
            return f"unexpected argument {name}"
        fault = _value_fault(parameters["properties"][name], value, allowed[name])
        if fault:
            return f"argument {name}: {fault}"
    for name, values in allowed.items():
        if name not in call.arguments and "" not in values:
            return f"argument {name} is missing"
    return None


def _value_fault(schema: Mapping[str, object], value: object, allowed: Sequence[object]) -> str | None:
    kind = str(schema["type"])
    expected = _TYPES[kind]
    items = schema["items"] if kind in ("array", "tuple") else None
    item_type = _TYPES[str(items["type"])] if isinstance(items, Mapping) else None
    if kind == "tuple" and isinstance(value, tuple):
        value = list(value)
    if kind == "float" and type(value) is int:
        value = float(value)
    example = _example_type(allowed)
    if not _has_type(value, expected, item_type, allowed):
        return f"expected {kind}, got {type(value).__name__}"
    # Where the allowed values are of another type than described, they are names of variables: compared as they are.
    is_variable = example not in (None, expected)
    if not is_variable:
        if isinstance(value, dict) and expected is dict:
            return _dict_fault(value, allowed)
        if isinstance(value, list) and expected is list:
            return _dicts_fault(value, allowed) if item_type is dict else _list_fault(value, allowed)
        if isinstance(value, str) and expected is str:
            same = {_plain(other) for other in allowed if isinstance(other, str)}
            return None if _plain(value) in same else _not_among(value, allowed)
    return None if value in allowed else _not_among(value, allowed)


def _example_type(allowed: Sequence[object]) -> type | None:
    return next((type(value) for value in allowed if value != ""), None)


def _has_type(value: object, expected: type, item_type: type | None, allowed: Sequence[object]) -> bool:
    """Exactly of the expected type (so no bool for an int), or of the type of the allowed values.

    Items of a list are checked one level deep, against the item type or the type of an allowed list's items.
    """
    if type(value) is not expected:
        example = _example_type(allowed)
        return example is not None and type(value) is example
    if item_type is None:
        return True
    assert isinstance(value, list)
    return any(
        all(_has_type(item, item_type, None, choice) for item in value) if isinstance(choice, list) else True
        for choice in allowed
    )


def _plain(value: object) -> object:
    """Strings without spaces, case, some punctuation and the kind of quotes; everything else as it is."""
    return _IGNORED.sub("", value).lower().replace("'", '"') if isinstance(value, str) else value


def _not_among(value: object, allowed: Sequence[object]) -> str:
    return f"{value!r} is not among {list(allowed)!r}"


def _list_fault(value: list[object], allowed: Sequence[object]) -> str | None:
    plain = [_plain(item) for item in value]
    choices = [[_plain(item) for item in choice] for choice in allowed]  # type: ignore[attr-defined]
    return None if plain in choices else _not_among(value, allowed)


def _dict_fault(value: Mapping[str, object], allowed: Sequence[object]) -> str | None:
    """None if one of the allowed dicts, whose values are lists of allowed values, takes value."""
    fault: str | None = "no value is allowed"
    for choice in allowed:
        if choice == "":
            continue
        assert isinstance(choice, Mapping)
        fault = _one_dict_fault(value, choice)
        if fault is None:
            return None
    return fault


def _one_dict_fault(value: Mapping[str, object], choice: Mapping[str, Sequence[object]]) -> str | None:
    for key, item in value.items():
        if key not in choice:
            return f"unexpected key {key}"
        if _plain(item) not in [_plain(other) for other in choice[key]]:
            return f"key {key}: {_not_among(item, choice[key])}"
    missing = [key for key, values in choice.items() if key not in value and "" not in values]
    return f"key {missing[0]} is missing" if missing else None


def _dicts_fault(value: list[object], allowed: Sequence[object]) -> str | None:
    """None if value equals one of the allowed lists of dicts, in order."""
    fault: str | None = "no value is allowed"
    for choice in allowed:
        assert isinstance(choice, Sequence)
        if len(value) != len(choice):
            fault = f"expected {len(choice)} items, got {len(value)}"
            continue
        faults = (_dict_fault(item, [other]) for item, other in zip(value, choice, strict=True))  # type: ignore[arg-type]
        fault = next((found for found in faults if found), None)
        if fault is None:
            return None
    return fault
