"""Suites that compare how likely texts are, rather than ask for an answer. Start at rank_options."""

from collections.abc import Sequence
from typing import cast

from mambino.errors import InputError
from mambino.evals.task import AnswerJson, Player


def rank_options(player: Player, prompt: str, options: Sequence[str]) -> dict[str, object]:
    """An answer: the log-probability and the number of tokens of each option after prompt."""
    scores = player.rank(prompt, options)
    return {"logprobs": [score.logprob for score in scores], "num_tokens": [score.num_tokens for score in scores]}


def log_probabilities(answer: AnswerJson) -> list[float]:
    """Raises InputError if answer has none."""
    found = answer.get("logprobs")
    if not isinstance(found, list) or not found or not all(isinstance(value, int | float) for value in found):
        raise InputError("[eval] expected logprobs, a list of numbers")
    return cast(list[float], found)


def best_option(answer: AnswerJson) -> int:
    """Index of the likeliest option; the first of equals."""
    found = log_probabilities(answer)
    return found.index(max(found))
