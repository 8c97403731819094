"""Sentences from templates: [a|b|c] picks one branch, {slot} is filled in, {Slot} is filled in with a capital.

a(n) becomes a or an. Knows no words of its own.
"""

import random
import re
from collections.abc import Mapping

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa])\(n\) (?=(\w))")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def expand(template: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """One sentence (or several) of the template; equal rng states give equal text.

    Raises     KeyError for a slot that nobody filled
    """
    while "[" in template:
        template = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), template)

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return slots[name] if name[0].islower() else capital(slots[name[0].lower() + name[1:]])

    text = _SLOT.sub(fill, template)
    text = _ARTICLE.sub(lambda match: match[1] + ("n " if match[2].lower() in "aeiou" else " "), text)
    return re.sub(r" {2,}", " ", text).strip()
