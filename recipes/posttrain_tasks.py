"""Small checkable tasks for a small model, each with an answer that an expert would give: formats, schemas, tools.

Rows are in NeMo-Gym's form, so that mambino.posttrain.rewards judges them as it judges anyone's. Start at task_rows.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mambino.chat.messages import Message, ToolCall

ANIMALS = ("fox", "bear", "cat", "dog", "frog", "mouse", "owl", "duck")
COLOURS = ("red", "blue", "green", "white", "black", "brown")
NAMES = ("Tom", "Lily", "Ben", "Mia", "Max", "Sue")
PLACES = ("river", "garden", "forest", "house", "park")
ROOMS = ("kitchen", "bedroom", "bathroom", "hall")
# Marked turns, short reasoning, calls as JSON in <tool_call>; reasoning of earlier turns is dropped.
TEMPLATE = """{%- macro listed() -%}
Tools:{% for t in tools %}{{ '\\n' }}{{ t.name }}{{ t.parameters.properties | tojson }}{% endfor %}
{%- endmacro -%}
{%- set ns = namespace(last=0) -%}
{%- for m in messages -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
{%- if tools and messages[0].role != 'system' -%}
<|im_start|>system{{ '\\n' ~ listed() }}<|im_end|>{{ '\\n' }}
{%- endif -%}
{%- for m in messages -%}
<|im_start|>{{ m.role + '\\n' }}
{%- if m.role == 'assistant' -%}
{%- if m.reasoning_content and loop.index0 > ns.last -%}
<think>{{ '\\n' + m.reasoning_content + '\\n' }}</think>{{ '\\n' }}
{%- else -%}<think></think>{%- endif -%}
{{ m.content }}
{%- for c in m.tool_calls or [] -%}
<tool_call>{{ '\\n' }}
{{- {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}{{ '\\n' }}</tool_call>
{%- endfor -%}
{%- else -%}{{ m.content }}{%- if tools and m.role == 'system' -%}{{ '\\n' ~ listed() }}{%- endif -%}
{%- endif -%}
<|im_end|>{{ '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant{{ '\\n' }}{% if enable_thinking %}<think>{{ '\\n' }}{% else %}<think></think>{% endif %}
{%- endif -%}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """row: in NeMo-Gym's form; answer: one that the verifier takes."""

    row: Mapping[str, object]
    answer: Message


def task_rows(environment: str, count: int, *, seed: int) -> list[TaskRow]:
    """Deterministic in environment, count and seed; other seeds give held-out rows."""
    rng = random.Random(f"{environment} {seed}")
    return [_MAKERS[environment](rng) for _ in range(count)]


def _instruction(rng: random.Random) -> TaskRow:
    animal, colour, place = rng.choice(ANIMALS), rng.choice(COLOURS), rng.choice(PLACES)
    told = f"Tell me about a {animal}"
    kind = rng.randrange(4)
    if kind == 0:
        phrase = f"The {animal} is {colour}."
        rules = [("startend:end_checker", {"end_phrase": phrase})]
        text, answer = f'{told}. End with "{phrase}"', f"I know a {animal}. {phrase}"
    elif kind == 1:
        rules = [("punctuation:no_comma", {})]
        text, answer = f"{told} without any comma.", f"The {animal} lives by the {place} and it is {colour}."
    elif kind == 2:
        rules = [("keywords:existence", {"keywords": [colour, place]})]
        text = f"{told}. Use the words {colour} and {place}."
        answer = f"The {colour} {animal} lives by the {place}."
    else:
        rules = [("startend:quotation", {})]
        text, answer = f"{told}. Put your whole answer in double quotes.", f'"The {animal} is {colour}."'
    names, arguments = [name for name, _ in rules], [given for _, given in rules]
    row = {"prompt": text, "instruction_id_list": names, "kwargs": arguments}
    return TaskRow(row=_asked(row, text), answer=_say(answer, "I must follow the rule."))


def _structured(rng: random.Random) -> TaskRow:
    name, colour, age = rng.choice(NAMES), rng.choice(COLOURS), rng.randrange(2, 10)
    given: dict[str, object] = {"name": name, "colour": colour, "age": age}
    keys = rng.sample(list(given), rng.randrange(1, 4))
    kinds = {"name": "string", "colour": "string", "age": "integer"}
    schema = {"type": "object", "properties": {key: {"type": kinds[key]} for key in keys}}
    text = f"{name} is {age} and likes {colour}. Write JSON with {', '.join(keys)}."
    row = {"schema_str": json.dumps(schema), "schema_type": "json"}
    return TaskRow(row=_asked(row, text), answer=_say(json.dumps({key: given[key] for key in keys}), "Only JSON."))


def _turns(rng: random.Random) -> TaskRow:
    """The rule was given in the first turn and still holds in the last."""
    first, second = rng.sample(ANIMALS, 2)
    rule = f'From now on end every answer with "I like the {first}."'
    talk = [
        {"role": "user", "content": rule},
        {"role": "assistant", "content": f"Good. I like the {first}."},
        {"role": "user", "content": f"What does a {second} do?"},
    ]
    row = {
        "prompt": rule,
        "instruction_id_list": ["startend:end_checker"],
        "kwargs": [{"end_phrase": f"I like the {first}."}],
        "responses_create_params": {"input": talk},
    }
    return TaskRow(row=row, answer=_say(f"The {second} plays. I like the {first}.", "The rule still holds."))


def _tool(rng: random.Random) -> TaskRow:
    room, level = rng.choice(ROOMS), rng.choice((0, 25, 50, 80, 100))
    tools = [
        {"name": "set_light", "parameters": _parameters(room="string", level="integer")},
        {"name": "start_timer", "parameters": _parameters(minutes="integer")},
    ]
    kind = rng.randrange(3)
    if kind == 0:
        name, arguments, text = "set_light", {"room": room, "level": level}, f"Set the {room} light to {level}."
    elif kind == 1:
        minutes = rng.randrange(2, 30)
        name, arguments, text = "start_timer", {"minutes": minutes}, f"Start a timer for {minutes} minutes."
    else:  # nothing to call: inventing a call is the fault
        row = _asked({"expected_action": {"type": "message"}}, f"What is a {rng.choice(ANIMALS)}?", tools)
        return TaskRow(row=row, answer=_say("It is an animal.", "No tool is needed."))
    action = {"type": "function_call", "name": name, "arguments": json.dumps(arguments)}
    call = ToolCall(id="1", name=name, arguments=arguments)
    answer = Message(role="assistant", content="", reasoning="I need a tool.", tool_calls=(call,))
    return TaskRow(row=_asked({"expected_action": action}, text, tools), answer=answer)


def _parameters(**kinds: str) -> dict[str, object]:
    return {"type": "object", "properties": {name: {"type": kind} for name, kind in kinds.items()}}


def _asked(row: Mapping[str, object], text: str, tools: list[dict[str, object]] | None = None) -> dict[str, object]:
    params: dict[str, object] = {"input": [{"role": "user", "content": text}]}
    return {**row, "responses_create_params": params | ({"tools": tools} if tools else {})}


def _say(text: str, reasoning: str) -> Message:
    return Message(role="assistant", content=text, reasoning=reasoning)


_MAKERS: Mapping[str, Callable[[random.Random], TaskRow]] = {
    "instruction": _instruction,
    "turns": _turns,
    "structured": _structured,
    "tool": _tool,
}
