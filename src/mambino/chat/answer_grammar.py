"""The grammar of one answer: its form, the calls it may make, or both. Text only; generation/grammar.py compiles it.

Start at answer_grammar.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mambino.chat.request import AnswerRequest, NamedTool, OutputFormat
from mambino.chat.wire.format import CallGrammar, TagSpelling, Tools, WireFormat, tools_by_name
from mambino.errors import InputError
from mambino.generation.lark import Grammar, choice, inline_json, inline_regex, quoted

_ANY_TEXT = "(?s:.*)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    symbol: str
    parts: Mapping[str, str] = field(default_factory=dict)


def output_grammar(output: OutputFormat) -> Grammar:
    """The grammar of text in this form. Raises InputError for a source that does not fit the kind."""
    content = _content(output)
    return Grammar(rules=f"start: {content.symbol}", parts=content.parts)


def answer_grammar(request: AnswerRequest, wire: WireFormat | None, spelling: TagSpelling) -> Grammar | None:
    """What the answer proper (after any thinking) must match; None if anything goes.

    With tool_choice "auto" the answer is free (or in its output form) until a call begins; "required" and a named tool
    begin with it. After calls the answer ends.

    Raises     InputError for an output form that is malformed, or a tool choice that cannot be met
    """
    content = None if request.output is None else _content(request.output)
    tools = _callable(request)
    if not tools:
        return None if content is None or request.output is None else output_grammar(request.output)
    if wire is None:
        raise InputError("[tools] this model's chat template knows no tools; ask without tools, or use another model")
    grammar = wire.grammar(tools, spelling)
    opening, block = spelling(grammar.opening), _block(grammar, request.parallel_calls)
    if request.tool_choice != "auto":
        rules = [f"start: {opening} {block}"]
    elif content is not None:
        rules = [f"start: {content.symbol} | {opening} {block}"]
    else:
        rules = _free_until(grammar.opening, opening, block)
    return Grammar(rules="\n".join([*rules, grammar.rules]), parts={} if content is None else content.parts)


def _callable(request: AnswerRequest) -> Tools:
    """Parameters of the tools that this answer may call."""
    tools, wanted = tools_by_name(request.tools), request.tool_choice
    if isinstance(wanted, NamedTool):
        if wanted.name not in tools:
            raise InputError(f"[tools] tool_choice: no tool is named {wanted.name!r}; known are {', '.join(tools)}")
        return {wanted.name: tools[wanted.name]}
    if wanted == "required" and not tools:
        raise InputError("[tools] tool_choice: a call is required, but there are no tools; give some")
    return {} if wanted == "none" else tools


def _block(grammar: CallGrammar, is_parallel: bool) -> str:
    more = f"({grammar.between} call)*" if is_parallel else ""
    return f"{grammar.before} call {more} {grammar.after}"


def _free_until(tag: str, opening: str, block: str) -> list[str]:
    """Rules for any text, in which tag begins a block of calls."""
    free = f"free_text: /{_ANY_TEXT}/"
    if opening != quoted(tag):  # a control token: free text cannot hold it
        return [f"start: free_text | free_text {opening} {block}", free]
    return [f"start: free_text | begun {block}", free, f"begun[lazy]: {inline_regex(_ANY_TEXT + tag)}"]


def _content(output: OutputFormat) -> _Content:
    source = output.source
    match output.kind, source:
        case "json_schema", Mapping():
            return _Content(symbol=inline_json(source))
        case "json_object", None:
            return _Content(symbol=inline_json({"type": "object"}))
        case "regex", str():
            return _Content(symbol=inline_regex(source.removeprefix("^").removesuffix("$")))
        case "lark", str():
            return _Content(symbol="@answer", parts={"answer": source})
        case "choice", tuple() if source and all(isinstance(text, str) and text for text in source):
            return _Content(symbol=choice(source))
    raise InputError(
        f"[grammar] output form {output.kind!r}: got {str(source)[:60]!r}; see OutputFormat for what it takes"
    )
