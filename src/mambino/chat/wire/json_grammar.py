"""Lark rules for JSON: schemas inline, strings quoted, and calls as JSON objects.

Only text is made here; generation/grammar.py compiles it. Start at inline_json.
"""

import json

from mambino.chat.wire.format import Schema, Tools

# One way to write each value: a model cannot fill an answer with white space, and more tokens are forced.
_LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def quoted(text: str) -> str:
    """text as a Lark string."""
    return json.dumps(text, ensure_ascii=False)


def inline_json(schema: Schema, *, is_lenient: bool) -> str:
    """A symbol for JSON that matches schema. Lenient passes over keywords that a grammar cannot express."""
    return "%json " + json.dumps({**schema, "x-guidance": {**_LAYOUT, "lenient": is_lenient}}, ensure_ascii=False)


def json_call_rules(tools: Tools) -> str:
    """Rules that define `call_object`: {"name": NAME, "arguments": ...} of one of tools.

    Keywords that a grammar cannot express are left to the check of the arguments when the tool is called.
    """
    rules = [f"call_object: {' | '.join(f'call_{index}' for index in range(len(tools)))}"]
    for index, (name, parameters) in enumerate(tools.items()):
        head = quoted(f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": ')
        schema = {"type": "object", "additionalProperties": False, **parameters}
        rules.append(f'call_{index}: {head} {inline_json(schema, is_lenient=True)} "}}"')
    return "\n".join(rules)
