"""Nemotron Nano v2's calls: <TOOLCALL>[{"name": ..., "arguments": {...}}, ...]</TOOLCALL>. Knows text only."""

from collections.abc import Sequence

from mambino.chat.messages import ToolCall
from mambino.chat.wire.format import CallGrammar, TagSpelling, Tools, WireFormat
from mambino.chat.wire.hermes import rendered_object
from mambino.chat.wire.json_calls import JsonCallReader
from mambino.chat.wire.json_grammar import json_call_rules

OPENING, CLOSING = "<TOOLCALL>", "</TOOLCALL>"


def _read(opening: str, tools: Tools) -> JsonCallReader:
    return JsonCallReader(opening, CLOSING, tools)


def render_calls(calls: Sequence[ToolCall]) -> str:
    """As the template writes them: one block for all."""
    return f"{OPENING}[{', '.join(map(rendered_object, calls))}]{CLOSING}"


def _grammar(tools: Tools, spelling: TagSpelling) -> CallGrammar:
    rules = f"call: call_object\n{json_call_rules(tools)}"
    return CallGrammar(rules=rules, opening=OPENING, before='"["', between='", "', after=f'"]" {spelling(CLOSING)}')


NANO_V2 = WireFormat(
    name="nano_v2", openings=(OPENING,), closing=CLOSING, read=_read, render=render_calls, grammar=_grammar
)
