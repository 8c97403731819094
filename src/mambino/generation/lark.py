"""Pieces of grammars as text, in llguidance's Lark: strings, JSON schemas, regular expressions.

Nothing is compiled here; grammar.py does that. Start at Grammar.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mambino.errors import InputError

# One way to write each value: a model cannot fill an answer with white space, and more tokens are forced.
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """What a text must match. rules define `start`; they name the grammars in parts as @name."""

    rules: str
    parts: Mapping[str, str] = field(default_factory=dict)

    def source(self) -> str:
        """What llguidance reads."""
        grammars = [{"lark_grammar": self.rules}]
        grammars += [{"name": name, "lark_grammar": rules} for name, rules in self.parts.items()]
        return json.dumps({"grammars": grammars})


def quoted(text: str) -> str:
    """A symbol for exactly this text."""
    return json.dumps(text, ensure_ascii=False)


def choice(texts: Sequence[str]) -> str:
    """A symbol for any of texts."""
    return f"({' | '.join(map(quoted, texts))})"


def inline_json(schema: Mapping[str, object], *, is_lenient: bool = False) -> str:
    """A symbol for JSON that matches schema. Lenient passes over keywords that a grammar cannot express.

    Raises     InputError for what is no JSON: nested too deeply, or values of other types
    """
    try:
        text = json.dumps({**schema, "x-guidance": {**_LAYOUT, "lenient": is_lenient}}, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError) as error:
        raise InputError(f"[grammar] the schema is no JSON that can be written: {error}") from error
    return f"%json {text}"


def inline_regex(pattern: str) -> str:
    """A symbol for text that pattern matches as a whole."""
    body = re.sub(r"(\\.)|/", lambda match: match.group(1) or r"\/", pattern, flags=re.DOTALL)
    return f"/{body}/".replace("\n", r"\n")
