"""Hermes calls (and Qwen's): <tool_call>{"name": ..., "arguments": {...}}</tool_call>. Knows text only."""

import json
from collections.abc import Sequence

from mambino.chat.messages import ToolCall
from mambino.chat.wire.format import CallGrammar, TagSpelling, Tools, WireFormat
from mambino.chat.wire.json_calls import JsonCallReader
from mambino.chat.wire.json_grammar import json_call_rules

OPENING, CLOSING = "<tool_call>", "</tool_call>"


def _read(opening: str, tools: Tools) -> JsonCallReader:
    return JsonCallReader(opening, CLOSING, tools)


def render_calls(calls: Sequence[ToolCall]) -> str:
    """As the templates of this family write them, one block a call."""
    return "".join(f"{OPENING}\n{rendered_object(call)}\n{CLOSING}\n" for call in calls)


def rendered_object(call: ToolCall) -> str:
    return json.dumps({"name": call.name, "arguments": dict(call.arguments)}, ensure_ascii=False)


def _grammar(tools: Tools, spelling: TagSpelling) -> CallGrammar:
    opening, closing = spelling(OPENING), spelling(CLOSING)
    rules = f'call: "\\n" call_object "\\n" {closing}\n{json_call_rules(tools)}'
    return CallGrammar(rules=rules, opening=OPENING, before="", between=f'"\\n" {opening}', after="")


HERMES = WireFormat(
    name="hermes", openings=(OPENING,), closing=CLOSING, read=_read, render=render_calls, grammar=_grammar
)
