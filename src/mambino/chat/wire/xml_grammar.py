"""Lark rules for calls whose parameters are tagged raw text: strings free, every other type as JSON.

Only text is made here. Start at xml_call_grammar.
"""

from dataclasses import dataclass

from mambino.chat.wire.format import CallGrammar, Schema, TagSpelling, Tools
from mambino.chat.wire.typed_values import is_text, property_schemas
from mambino.generation.lark import choice, inline_json, quoted

MAX_COUNTED_CHARS = 1000  # longer limits would make large automata; they are checked when the tool is called


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTags:
    """The tags of a call as the format spells them; each may be a control token of a model or plain text."""

    opening: str
    closing: str
    function: str
    function_end: str
    parameter: str
    parameter_end: str


def xml_call_grammar(tools: Tools, tags: CallTags, spelling: TagSpelling) -> CallGrammar:
    """Parameters come in the schema's order, optional ones or not."""
    opening, closing = spelling(tags.opening), spelling(tags.closing)
    names = " | ".join(f"call_{index}" for index in range(len(tools)))
    values = _Values(tags.parameter_end, spelling)
    rules = [
        f'call: "\\n" {spelling(tags.function)} ({names}) {spelling(tags.function_end)} "\\n" {closing}',
        values.text_rule("value_text", "(?s:.*)"),
    ]
    for index, (name, parameters) in enumerate(tools.items()):
        rules += _function_rules(f"call_{index}", name, parameters, spelling(tags.parameter), values)
    return CallGrammar(rules="\n".join(rules), opening=tags.opening, before="", between=f'"\\n" {opening}', after="")


def _function_rules(rule: str, name: str, parameters: Schema, parameter: str, values: "_Values") -> list[str]:
    required = parameters.get("required", ())
    wanted = required if isinstance(required, list | tuple) else ()
    symbols, rules = [quoted(f"{name}>\n")], []
    for index, (key, schema) in enumerate(property_schemas(parameters).items()):
        part = f"{rule}_{index}"
        symbols.append(part if key in wanted else f"{part}?")
        longest = None if "enum" in schema else schema.get("maxLength")
        if is_text(schema) and isinstance(longest, int) and longest <= MAX_COUNTED_CHARS:
            rules.append(values.text_rule(f"{part}_text", f"(?s:.{{0,{longest}}})"))
            value = f"{part}_text"
        else:
            value = values.symbols(schema)
        rules.append(f"{part}: {parameter} {quoted(key + '>' + chr(10))} {value}")
    return [f"{rule}: {' '.join(symbols)}", *rules]


class _Values:
    """Values with what ends them."""

    def __init__(self, end_tag: str, spelling: TagSpelling) -> None:
        self._end_tag, self._end = end_tag, spelling(end_tag)

    def text_rule(self, name: str, pattern: str) -> str:
        """Free text up to its end; a control token is no text, so that nothing else needs to say where that is."""
        if self._end == quoted(self._end_tag):
            return f'{name}[suffix="\\n{self._end_tag}\\n"]: /{pattern}/'
        return f'{name}: /{pattern}\\n/ {self._end} "\\n"'

    def symbols(self, schema: Schema) -> str:
        choices = schema.get("enum", ())
        if not is_text(schema):
            return f'{inline_json(schema, is_lenient=True)} "\\n" {self._end} "\\n"'
        if isinstance(choices, list) and choices and all(isinstance(text, str) for text in choices):
            return f'{choice(choices)} "\\n" {self._end} "\\n"'
        return "value_text"
