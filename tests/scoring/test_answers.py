"""Answers found in free text."""

from decimal import Decimal

import pytest

from mambino.scoring.answers import (
    abstains,
    chosen_letter,
    contains_all,
    contains_any,
    final_number,
    said_yes,
    score_choice,
    score_number,
    score_yes_no,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3 + 4 = 7", "7"),
        ("#### 1,234.50", "1234.50"),
        (r"so \boxed{-42}.", "-42"),
        ("The answer is $18. Check: 9 + 9", "18"),
        ("<think>99</think>It is 5", "5"),
        ("none", None),
        ("$.5 each", ".5"),
        ("The answer is 48 + 24 = 72.", "72"),
        ("Answer: first she sold 48, then 48/2 = 24.\nThat is 72 altogether", "72"),
        ("The answer is **72**, since 48 + 24", "72"),
        ("The answer is 1,072.5 in all, of 3", "1072.5"),
    ],
)
def test_the_final_number(text: str, number: str | None) -> None:
    answer = text.split("</think>")[-1]
    assert final_number(answer) == (None if number is None else Decimal(number))


def test_numbers_are_compared_as_numbers() -> None:
    assert score_number("It costs $1,000.00", "1000").value == 1
    assert score_number("It costs 100", "1000").value == 0
    assert score_number("<think>1000</think>No idea", "1000").value == 0


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("(C) because", "C"),
        ("The answer is **D**.", "D"),
        ("Answer: A", "A"),
        ("Because of", None),
        ("x", None),
    ],
)
def test_the_chosen_letter(text: str, letter: str | None) -> None:
    assert chosen_letter(text) == letter
    assert score_choice(text, "B").value == float(letter == "B")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes.", True),
        ("No", False),
        ("Yes and No", None),
        ("yes", None),
        ("maybe", None),
        ("Not hallucinated", False),
    ],
)
def test_yes_or_no(text: str, said: bool | None) -> None:
    assert said_yes(text) is said
    assert score_yes_no(text, True).value == float(said is True)


def test_an_abstention_is_heard_in_the_answer_not_in_the_thinking() -> None:
    assert abstains("I don\u2019t know.")
    assert abstains("That is unknown to science.")
    assert not abstains("<think>I don't know... Mars?</think>Mars.")
    assert not abstains("Mars.")
    assert not abstains("<think>I don't know")


def test_expected_strings_are_counted_without_case() -> None:
    assert contains_all("Alpha, BETA", ["alpha", "beta", "gamma", "delta"]).value == 0.5
    assert contains_any("Alpha", ["beta", "ALPHA"]).value == 1
    assert contains_any("Alpha", ["beta"]).value == 0
