"""The calculator is right, exact on integers, and refuses what is no arithmetic or would not end."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mambino.chat.builtin_tools.calculator import calculate, calculator_tools, format_number
from mambino.chat.messages import ToolCall
from mambino.chat.toolbox import ToolBox
from mambino.errors import ToolError


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("2 ^ 3 ^ 2", 512),
        ("-2 ** 2", -4),
        ("--2 - -3", 5),
        ("7 / 2", 3.5),
        ("8 / 2", 4),
        ("-7 // 2", -4),
        ("7 % 4", 3),
        ("5! - 3!", 114),
        ("2^-1", 0.5),
        ("sqrt(16) + max(1, 2, 3)", 7.0),
        ("log(1000)", 3.0),
        (".5e1 + 1e3", 1005.0),
        ("12 \u00d7 3 \u00f7 4 \u2212 1", 8),
        ("2^200", 2**200),
        ("round(pi, 2)", 3.14),
    ],
)
def test_values(expression: str, value: float) -> None:
    assert calculate(expression) == value
    assert isinstance(calculate(expression), type(value))


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("", "not finished"),
        ("2 +", "not finished"),
        ("1 2", "did not expect '2'"),
        ("(1", "is missing"),
        ("1 / 0", "division by zero"),
        ("0 ^ -1", "division by zero"),
        ("__import__('os')", "cannot read|did not expect"),
        ("a.b", "cannot read '.b'"),
        ("sqrt(-1)", "cannot be calculated"),
        ("(-8) ^ 0.5", "not real"),
        ("exp(1000)", "cannot be calculated"),
        ("1e308 * 10", "infinite"),
        ("9^9^9^9", "digits"),
        ("(9^900) * (9^900) * (9^900)", "digits"),
        ("1000!", "0 to 400"),
        ("(" * 60 + "1" + ")" * 60, "nested too deeply"),
        ("1^" * 60 + "1", "nested too deeply"),
        ("1+" * 300 + "1", "more than 500 characters"),
        ("max()", "did not expect"),
        ("min(1)", "cannot be calculated"),
    ],
)
def test_what_cannot_be_calculated_is_said(expression: str, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        calculate(expression)


@settings(max_examples=50)
@given(st.text(alphabet="0123456789+-*/%^!(). ,episqrtlogmax", max_size=40))
def test_any_text_gives_a_number_or_a_reason(text: str) -> None:
    try:
        value = calculate(text)
    except ToolError:
        return
    assert math.isfinite(value) if isinstance(value, float) else True
    assert format_number(value)


def test_as_a_tool() -> None:
    result = ToolBox(calculator_tools()).call(
        ToolCall(id="", name="calculate_expression", arguments={"expression": "1/3"})
    )
    assert result.text == "1/3 = 0.333333333333"
