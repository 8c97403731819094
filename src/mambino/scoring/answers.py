"""Answers found in free text: the final number, a choice, yes or no, an abstention, expected strings.

Plain rules, stated in each docstring; what none of them finds is wrong, with the reason as evidence.
Start at score_number.
"""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from mambino.scoring.scored import Scored, right, wrong

_NUMBER = re.compile(r"-?\$?\d[\d,]*(?:\.\d+)?|-?\$?\.\d+")
_MARKED = re.compile(r"####\s*(.+)|\\boxed\{([^{}]*)\}", re.IGNORECASE)
# "answer is 72", but not "answer is 48 + 24": that goes on to the number that counts
_NAMED = re.compile(
    r"answer\s*(?:is|:|=)[\s*_:]*(-?\$?(?:\d[\d,]*(?:\.\d+)?|\.\d+))(?![\d.]*\d)(?!\s*(?:[-+/=\u00d7\u00f7]|\*\s*\d))",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"(?:answer\s*(?:is|:)?|choice|option)\s*\**\(?([A-J])\b", re.IGNORECASE)
_LONE_CHOICE = re.compile(r"^\W*([A-J])\b(?=\W|$)")
# What people and models say when they do not know: stems, matched in lower case without apostrophes' variants.
_ABSTENTIONS = (
    "i don't know",
    "i do not know",
    "don't have enough information",
    "do not have enough information",
    "not enough information",
    "no information",
    "unknown",
    "unanswerable",
    "cannot be answered",
    "can't be answered",
    "cannot answer",
    "can't answer",
    "unable to answer",
    "cannot determine",
    "can't determine",
    "impossible to know",
    "impossible to determine",
    "impossible to answer",
    "impossible to predict",
    "not possible to",
    "it is difficult to",
    "it's difficult to",
    "no definitive answer",
    "no definite answer",
    "no single answer",
    "no clear answer",
    "no one knows",
    "nobody knows",
    "no known",
    "no way to know",
    "not known",
    "not certain",
    "not sure",
    "uncertain",
    "unclear",
    "subjective",
    "matter of opinion",
    "no scientific evidence",
    "no consensus",
    "there is no way",
    "remains a mystery",
    "as an ai",
    "[idk]",
    "depends on",
    "does not mention",
    "doesn't mention",
    "does not say",
    "doesn't say",
    "not mentioned",
)


def without_thinking(text: str) -> str:
    """The answer after a closing </think>; text itself where there is none, nothing where a thought does not end."""
    _, tag, after = text.partition("</think>")
    if not tag:
        return "" if text.lstrip().startswith("<think>") else text
    return after.lstrip()


def final_number(text: str) -> Decimal | None:
    """The number after the last #### or \\boxed, else that of the last "answer is", else the last one in text."""
    marked = [next(group for group in groups if group) for groups in _MARKED.findall(text) if any(groups)]
    after_mark = _NUMBER.findall(marked[-1])[:1] if marked else []
    found = after_mark or _NAMED.findall(text)[-1:] or _NUMBER.findall(text)[-1:]
    return _decimal(found[0]) if found else None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text.replace(",", "").replace("$", ""))
    except InvalidOperation:
        return None


def score_number(text: str, expected: str) -> Scored:
    """GSM8K: the final number equals the expected one, as numbers (1,000 is 1000.0)."""
    number, target = final_number(without_thinking(text)), _decimal(expected)
    if number is None:
        return wrong("no number in the answer")
    return right(f"{number}") if number == target else wrong(f"{number} instead of {expected}")


def chosen_letter(text: str) -> str | None:
    """The letter A to J that text chooses: "answer is X", else a letter that text begins with."""
    marked = _CHOICE.findall(text)
    if marked:
        return str(marked[-1]).upper()
    lone = _LONE_CHOICE.match(text)
    return lone.group(1) if lone else None


def score_choice(text: str, expected: str) -> Scored:
    letter = chosen_letter(without_thinking(text))
    if letter is None:
        return wrong("no choice in the answer")
    return right(letter) if letter == expected else wrong(f"{letter} instead of {expected}")


def said_yes(text: str) -> bool | None:
    """True for Yes, False for No, None if text has neither or both, as HaluEval judges: in this spelling, anywhere."""
    yes, no = "Yes" in text, "No" in text
    return None if yes == no else yes


def score_yes_no(text: str, expected: bool) -> Scored:
    said = said_yes(without_thinking(text))
    if said is None:
        return wrong("neither or both of yes and no")
    name = "yes" if said else "no"
    return right(name) if said == expected else wrong(f"{name} is not expected")


def abstains(text: str) -> bool:
    """Does text say that it does not know? A list of phrases: a hint, not a judge."""
    lowered = without_thinking(text).lower().replace("\u2019", "'")
    return any(phrase in lowered for phrase in _ABSTENTIONS)


def contains_all(text: str, expected: Sequence[str]) -> Scored:
    """RULER: the share of the expected strings in text, ignoring case."""
    lowered = without_thinking(text).lower()
    missing = [item for item in expected if item.lower() not in lowered]
    return Scored(
        value=1.0 - len(missing) / len(expected), evidence=f"missing: {', '.join(missing)}" if missing else ""
    )


def contains_any(text: str, expected: Sequence[str]) -> Scored:
    """1 if any of the expected strings is in text, ignoring case."""
    lowered = without_thinking(text).lower()
    found = next((item for item in expected if item.lower() in lowered), None)
    return wrong(f"none of {', '.join(expected)}") if found is None else right(found)
