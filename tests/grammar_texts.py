"""Walks texts through a constraint as generation does. Start at walk."""

from dataclasses import dataclass

from mambino.generation.constraint import Constraint
from mambino.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """rest is the text that was not taken ("" if all was); forced is the text that must come next."""

    rest: str
    forced: str
    may_end: bool


def walk(constraint: Constraint, tokenizer: Tokenizer, text: str) -> Walk:
    """Feeds text token by token until one is refused. Mutates constraint."""
    ids = tokenizer.encode(text, parse_special=True)
    for index, token in enumerate(ids):
        mask = constraint.mask()
        forced = constraint.forced()
        assert mask is None or all(mask[token] for token in forced[:1]), "a forced token must be allowed"
        if mask is not None and not mask[token]:
            return Walk(rest=tokenizer.decode(ids[index:]), forced=tokenizer.decode(forced), may_end=False)
        constraint.advance(token)
    mask = constraint.mask()
    may_end = mask is None or bool(mask[tokenizer.eos_token_ids[0]])
    return Walk(rest="", forced=tokenizer.decode(constraint.forced()), may_end=may_end)
