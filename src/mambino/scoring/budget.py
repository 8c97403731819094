"""Was thinking kept within its budget? Start at score_budget."""

from mambino.errors import InputError
from mambino.scoring.scored import Scored, right


def score_budget(num_tokens: int, budget: int) -> Scored:
    """1 within the budget, then falling in a straight line to 0 at twice the budget; a budget of 0 allows nothing.

    Raises     InputError for a negative number
    """
    if num_tokens < 0 or budget < 0:
        raise InputError(f"[scoring] expected counts of tokens, got {num_tokens} of {budget}")
    if num_tokens <= budget:
        return right(f"{num_tokens} of {budget} tokens")
    over = (num_tokens - budget) / budget if budget else 1.0
    return Scored(value=max(0.0, 1.0 - over), evidence=f"{num_tokens} tokens of thought, {budget} allowed")
