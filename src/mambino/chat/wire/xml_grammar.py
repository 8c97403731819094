"""Lark rules for calls whose parameters are tagged raw text: strings free, every other type as JSON.

Only text is made here. Start at xml_call_grammar.
"""

from mambino.chat.wire.format import CallGrammar, Schema, Tools
from mambino.chat.wire.typed_values import is_text, property_schemas
from mambino.generation.lark import choice, inline_json, quoted

MAX_COUNTED_CHARS = 1000  # longer limits would make large automata; they are checked when the tool is called
_TEXT_OPTIONS = r'[suffix="\n</parameter>\n"]'


def xml_call_grammar(tools: Tools, opening_tag: str, opening: str, closing: str) -> CallGrammar:
    """opening and closing are the symbols of the tags; parameters come in the schema's order, optional ones or not."""
    names = " | ".join(f"call_{index}" for index in range(len(tools)))
    rules = [f'call: "\\n<function=" ({names}) "</function>\\n" {closing}', f"value_text{_TEXT_OPTIONS}: /(?s:.*)/"]
    for index, (name, parameters) in enumerate(tools.items()):
        rules += _function_rules(f"call_{index}", name, parameters)
    return CallGrammar(rules="\n".join(rules), opening=opening_tag, before="", between=f'"\\n" {opening}', after="")


def _function_rules(rule: str, name: str, parameters: Schema) -> list[str]:
    required = parameters.get("required", ())
    wanted = required if isinstance(required, list | tuple) else ()
    symbols, rules = [quoted(f"{name}>\n")], []
    for index, (key, schema) in enumerate(property_schemas(parameters).items()):
        part = f"{rule}_{index}"
        symbols.append(part if key in wanted else f"{part}?")
        longest = None if "enum" in schema else schema.get("maxLength")
        if is_text(schema) and isinstance(longest, int) and longest <= MAX_COUNTED_CHARS:
            rules.append(f"{part}_text{_TEXT_OPTIONS}: /(?s:.{{0,{longest}}})/")
            value = f"{part}_text"
        else:
            value = _value(schema)
        rules.append(f"{part}: {quoted(f'<parameter={key}>' + chr(10))} {value}")
    return [f"{rule}: {' '.join(symbols)}", *rules]


def _value(schema: Schema) -> str:
    choices = schema.get("enum", ())
    if not is_text(schema):
        return f'{inline_json(schema, is_lenient=True)} "\\n</parameter>\\n"'
    if isinstance(choices, list) and choices and all(isinstance(text, str) for text in choices):
        return f'{choice(choices)} "\\n</parameter>\\n"'
    return "value_text"
