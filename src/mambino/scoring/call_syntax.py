"""Function calls written as Python text, `[f(x=1), g(y="b")]`: what BFCL asks of models without a tool-call format.

Nothing is evaluated: the text is parsed; constants, arithmetic of numbers and sums of strings are read. Start at
parse_calls.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mambino.errors import InputError

MAX_TEXT = 100_000  # characters; a longer answer is no list of calls
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_MAX_POWER = 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One function call: values are JSON values, or tuples where the text has tuples."""

    name: str
    arguments: Mapping[str, object]


def parse_calls(text: str) -> tuple[Call, ...]:
    """The calls of text, which may lack its outer brackets; positional arguments are dropped, as BFCL does.

    Raises     InputError if text is not a list of calls
    """
    if len(text) > MAX_TEXT:
        raise InputError(f"[calls] {len(text)} characters are no list of calls")
    text = text.strip("`\n ")
    text = text if text.startswith("[") else "[" + text
    text = text if text.endswith("]") else text + "]"
    try:
        with warnings.catch_warnings():  # of odd escapes and odd calls in a model's text
            warnings.simplefilter("ignore")
            body = ast.parse(text.strip().strip("'"), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise InputError(f"[calls] not Python call syntax: {error}") from error
    elements = [body] if isinstance(body, ast.Call) else _elements(body)
    try:
        return tuple(_call(element) for element in elements)
    except RecursionError as error:
        raise InputError("[calls] values nested too deeply") from error


def _elements(body: ast.expr) -> list[ast.expr]:
    if isinstance(body, ast.List | ast.Tuple | ast.Set):
        return body.elts
    raise InputError(f"[calls] expected a list of calls, got {type(body).__name__}")


def _call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call):
        raise InputError(f"[calls] expected a call, got {ast.unparse(node)[:60]!r}")
    parts: list[str] = []
    function = node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if isinstance(function, ast.Name):
        parts.append(function.id)
    arguments = {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    return Call(name=".".join(reversed(parts)), arguments=arguments)


def _value(node: ast.expr | None) -> object:
    """A name stands for its own text, a call without keywords for its source, with keywords for {name: arguments}."""
    match node:
        case ast.Constant(value=value):
            return "..." if value is Ellipsis else value
        case ast.UnaryOp(operand=ast.Constant(value=int() | float() | complex() as number)):
            return -number
        case ast.List(elts=elements):
            return [_value(element) for element in elements]
        case ast.Tuple(elts=elements):
            return tuple(_value(element) for element in elements)
        case ast.Dict(keys=keys, values=values):
            return _mapping(keys, values)
        case ast.BinOp():
            return _joined(node) if _is_text(node) else _number(node)
        case ast.Name(id=name):
            return name
        case ast.Call(keywords=[]) | ast.Subscript():
            return ast.unparse(node)
        case ast.Call():
            call = _call(node)
            return {call.name: dict(call.arguments)}
        case _:
            raise InputError(f"[calls] a value of kind {type(node).__name__} is not read")


def _mapping(keys: list[ast.expr | None], values: list[ast.expr]) -> dict[object, object]:
    try:
        return {_value(key): _value(value) for key, value in zip(keys, values, strict=True)}
    except TypeError as error:  # a list as a key
        raise InputError(f"[calls] {error}") from error


def _is_text(node: ast.expr) -> bool:
    """Is the leftmost operand a string?"""
    while isinstance(node, ast.BinOp):
        node = node.left
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _joined(node: ast.expr) -> str:
    """Strings joined by +."""
    match node:
        case ast.Constant(value=str() as value):
            return value
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined(left) + _joined(right)
    raise InputError(f"[calls] {ast.unparse(node)[:60]!r} is no sum of strings")


def _number(node: ast.expr) -> float:
    """Arithmetic of numbers, of a bounded size."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _number(left), _number(right)
            try:
                if isinstance(op, ast.Pow) and abs(a) <= _MAX_POWER and abs(b) <= _MAX_POWER:
                    result = a**b
                    if isinstance(result, int | float):
                        return result
                if type(op) in _ARITHMETIC and max(abs(a), abs(b)) < 10.0**300:
                    return _ARITHMETIC[type(op)](a, b)
            except ArithmeticError as error:
                raise InputError(f"[calls] {ast.unparse(node)[:60]}: {error}") from error
    raise InputError(f"[calls] {ast.unparse(node)[:60]!r} is no arithmetic of numbers")
