"""Arithmetic as a tool: a parser of its own, never eval, with limits on length, depth and size.

Knows numbers only. Start at calculate.
"""

import math
import re
from collections.abc import Callable

from mambino.chat.tools import Tool, tool
from mambino.errors import ToolError

MAX_CHARS = 500
MAX_DEPTH = 50
MAX_DIGITS = 1000  # of an exact integer
MAX_ARGUMENTS = 20

Number = int | float
_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|//|[-+*/%^(),!]))")
_CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FROM_MATH = ("sqrt", "exp", "log2", "sin", "cos", "tan", "asin", "acos", "atan", "floor", "ceil")
_FUNCTIONS: dict[str, Callable[..., Number]] = {name: getattr(math, name) for name in _FROM_MATH}
_FUNCTIONS |= {"ln": math.log, "log": math.log10, "abs": abs, "round": round, "min": min, "max": max}


def calculator_tools() -> tuple[Tool, ...]:
    """One tool that calculates."""

    @tool
    def calculate_expression(expression: str) -> str:
        """Calculate an arithmetic expression exactly, such as 2 * (3 + 4) ^ 2 or sqrt(2) / 3.

        Args:
            expression: Numbers, + - * / // % ^ !, parentheses, pi, e, and functions such as sqrt, log, sin, min, round.
        """
        return f"{expression} = {format_number(calculate(expression))}"

    return (calculate_expression,)


def calculate(expression: str) -> Number:
    """The value; integers stay exact. Raises ToolError that says what is wrong with the expression."""
    if len(expression) > MAX_CHARS:
        raise ToolError(f"the expression has more than {MAX_CHARS} characters; split it")
    try:
        value = _Parser(_tokens(expression)).whole()
        if isinstance(value, float) and not math.isfinite(value):
            raise ToolError("the result is infinite or undefined")
        return value
    except ZeroDivisionError as error:
        raise ToolError("division by zero") from error
    except (ValueError, OverflowError, TypeError) as error:  # of the functions
        raise ToolError(f"cannot be calculated: {error}") from error


def format_number(value: Number) -> str:
    """Up to 12 significant digits; integers in full."""
    return str(value) if isinstance(value, int) else f"{value:.12g}"


def _tokens(expression: str) -> list[str]:
    tokens, position = [], 0
    text = expression.replace("\u00d7", "*").replace("\u00f7", "/").replace("\u2212", "-").rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ToolError(f"cannot read {text[position:].strip()[:20]!r}; use numbers, operators and known functions")
        tokens.append(next(part for part in match.groups() if part))
        position = match.end()
    return tokens


class _Parser:
    """Precedence climbing: + - below * / // % below unary minus below ^ (to the right) below !."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> Number:
        value = self._sum()
        if self._peek() is not None:
            raise ToolError(f"did not expect {self._peek()!r}")
        return value

    def _peek(self) -> str | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, *wanted: str) -> str | None:
        token = self._peek()
        if token is None or (wanted and token not in wanted):
            return None
        self._next += 1
        return token

    def _sum(self) -> Number:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ToolError("the expression is nested too deeply")
        value = self._product()
        while operator := self._take("+", "-"):
            other = self._product()
            value = value + other if operator == "+" else value - other
        self._depth -= 1
        return value

    def _product(self) -> Number:
        value = self._signed()
        while operator := self._take("*", "/", "//", "%"):
            other = self._signed()
            value = _limited(_divided(value, other, operator) if operator != "*" else value * other)
        return value

    def _signed(self) -> Number:
        sign = 1
        while operator := self._take("+", "-"):
            sign = -sign if operator == "-" else sign
        return sign * self._power()

    def _power(self) -> Number:
        base = self._postfix()
        if not self._take("^", "**"):
            return base
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ToolError("the expression is nested too deeply")
        exponent = self._signed()
        self._depth -= 1
        return _powered(base, exponent)

    def _postfix(self) -> Number:
        value = self._atom()
        while self._take("!"):
            if not isinstance(value, int) or not 0 <= value <= 400:
                raise ToolError("! takes an integer from 0 to 400")
            value = math.factorial(value)
        return value

    def _atom(self) -> Number:
        token = self._take()
        if token is None:
            raise ToolError("the expression is not finished")
        if token == "(":
            return self._closed(self._sum())
        if token[0].isdigit() or token[0] == ".":
            return int(token) if token.isdigit() else float(token)
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token in _FUNCTIONS and self._take("("):
            arguments = [self._sum()]
            while self._take(",") and len(arguments) < MAX_ARGUMENTS:
                arguments.append(self._sum())
            return self._closed(_FUNCTIONS[token](*arguments))
        raise ToolError(f"did not expect {token!r}; functions are {', '.join(_FUNCTIONS)}")

    def _closed(self, value: Number) -> Number:
        if not self._take(")"):
            raise ToolError("a ) is missing")
        return value


def _divided(value: Number, other: Number, operator: str) -> Number:
    if operator == "%":
        return value % other
    exact = isinstance(value, int) and isinstance(other, int) and value % other == 0
    return value // other if operator == "//" or exact else value / other


def _powered(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base.bit_length() * exponent > MAX_DIGITS * 3:
            raise ToolError(f"the result has more than {MAX_DIGITS} digits")
        return int(base**exponent)
    value = float(base) ** exponent
    if isinstance(value, complex):
        raise ToolError("a root of a negative number is not real")
    return float(value)


def _limited(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > MAX_DIGITS * 4:
        raise ToolError(f"the result has more than {MAX_DIGITS} digits")
    return value
