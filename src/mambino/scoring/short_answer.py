"""Short answers to factual questions, where not knowing is worth more than being wrong. Start at score_short_answer."""

import re
import string
from collections.abc import Sequence

from mambino.scoring.answers import abstains, without_thinking
from mambino.scoring.scored import Scored, right, wrong

ABSTAIN_VALUE = 0.5
_BOXED = re.compile(r"\\boxed\{([^{}]{0,500})\}")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def score_short_answer(text: str, expected: Sequence[str], *, abstain_value: float = ABSTAIN_VALUE) -> Scored:
    """1 for one of the expected answers, abstain_value for saying so when unsure, 0 for anything else.

    The answer is the last \\boxed{...}, where [IDK] abstains, else the whole text. Compared without case, articles and
    punctuation, as SQuAD does; an answer of more words that holds an expected one as whole words is right, too.
    """
    answer = without_thinking(text)
    boxed = _BOXED.findall(answer)
    given = boxed[-1].strip() if boxed else answer.strip()
    said = normalised(given)
    if not said:
        return wrong("no answer")
    if any(f" {normalised(target)} " in f" {said} " for target in expected if normalised(target)):
        return right(given[:100])
    if given.strip("[] ").upper() == "IDK" or abstains(given):
        return Scored(value=abstain_value, evidence="abstains")
    return wrong(f"{given[:100]!r} instead of {expected[0]!r}")


def normalised(text: str) -> str:
    """Lower case, without punctuation, articles and runs of spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())
