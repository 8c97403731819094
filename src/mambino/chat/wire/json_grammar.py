"""Lark rules for calls written as JSON objects. Only text is made here. Start at json_call_rules."""

import json

from mambino.chat.wire.format import Tools
from mambino.generation.lark import inline_json, quoted


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
