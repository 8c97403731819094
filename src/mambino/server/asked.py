"""Parts of requests that several APIs spell alike: sampling, thinking, tools, the answer's form. JSON in, values out.

Bodies were checked against their schema. Start at sampling_of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from mambino.chat.messages import Message
from mambino.chat.request import NamedTool, OutputFormat, Thinking, ToolChoice
from mambino.errors import InputError
from mambino.generation.params import SamplingParams
from mambino.server.schema import (
    Body,
    Schema,
    choice,
    either,
    fields,
    flag,
    ignored,
    integer,
    listed,
    number,
    optional,
    text,
)

MAX_TOOLS = 128
MAX_STOPS = 16
MAX_CHOICES = 8  # answers to one request
EFFORT_TOKENS = {"minimal": 128, "low": 512, "medium": 2048}  # high and xhigh: as long as it takes

STOP: Schema = optional(either(text(minLength=1), listed(text(minLength=1), maxItems=MAX_STOPS)))
OBJECT: Schema = {"type": "object"}
FUNCTION = fields(
    {
        "name": text(pattern=r"^[A-Za-z0-9_.\-]{1,128}$"),
        "description": optional(text()),
        "parameters": optional(OBJECT),
        "strict": flag(),
    },
    ["name"],
)

# Sampling as the OpenAI routes spell it, with the two fields that every local server adds.
SAMPLING: dict[str, Schema] = {
    "temperature": number(0, 5),
    "top_p": number(0, 1),
    "top_k": integer(0, 2**31),
    "min_p": number(0, 1),
    "repetition_penalty": number(0.01, 10),
    "presence_penalty": number(-2, 2),
    "frequency_penalty": number(-2, 2),
    "seed": integer(-(2**63), 2**63 - 1),
    "stop": STOP,
    "logit_bias": optional(
        {
            "type": "object",
            "propertyNames": {"pattern": "^[0-9]{1,9}$"},
            "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
            "maxProperties": 1024,
        }
    ),
}

# Output that must match something, as other local servers spell it.
GUIDED: dict[str, Schema] = {
    "guided_json": optional(OBJECT),
    "guided_regex": optional(text(minLength=1)),
    "guided_lark": optional(text(minLength=1)),
    "guided_choice": optional(listed(text(minLength=1), minItems=1, maxItems=1024)),
}
THINKING: dict[str, Schema] = {
    "thinking_budget": integer(0, 2**31),
    "reasoning_effort": optional(choice("none", "minimal", "low", "medium", "high", "xhigh")),
    "chat_template_kwargs": optional(fields({"enable_thinking": flag()})),
}
HARMLESS: dict[str, Schema] = {
    name: ignored()
    for name in (
        "user",
        "metadata",
        "store",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "verbosity",
    )
}
_SAME_NAMES = ("top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "temperature")


def sampling_of(body: Body, defaults: SamplingParams, *, max_tokens: int | None, vocab_size: int) -> SamplingParams:
    """defaults under what body says. Raises InputError."""
    changes: dict[str, object] = {name: body[name] for name in _SAME_NAMES if name in body}
    if body.get("top_p") is not None:
        changes["top_p"] = max(float(cast(float, body["top_p"])), 1e-6)  # 0 means: the likeliest token
    if "seed" in body:
        changes["seed"] = cast(int, body["seed"]) % 2**63
    if "stop" in body:
        stop = body["stop"]
        changes["stop"] = (stop,) if isinstance(stop, str) else tuple(cast(Sequence[str], stop))
    if "logit_bias" in body:
        bias = cast(Mapping[str, float], body["logit_bias"])
        outside = next((token for token in bias if int(token) >= vocab_size), None)
        if outside is not None:
            raise InputError(f"[request] logit_bias: {outside} is not a token; this vocabulary has {vocab_size} ids")
        changes["logit_bias"] = {int(token): value for token, value in bias.items()}
    if max_tokens is not None:
        changes["max_tokens"] = max_tokens
    return replace(defaults, **changes)  # type: ignore[arg-type]  # SamplingParams checks


def several(params: SamplingParams, count: int) -> list[SamplingParams]:
    """params for count answers: a seed, if any, counts up."""
    return [params if params.seed is None else replace(params, seed=params.seed + index) for index in range(count)]


def thinking_of(body: Body) -> Thinking:
    """From thinking_budget, chat_template_kwargs.enable_thinking or reasoning_effort, the most explicit first."""
    budget = cast("int | None", body.get("thinking_budget"))
    if budget is not None:
        return budget or False
    switch = cast(Body, body.get("chat_template_kwargs", {})).get("enable_thinking")
    if switch is not None:
        return bool(switch)
    return effort_thinking(cast("str | None", body.get("reasoning_effort")))


def effort_thinking(effort: str | None) -> Thinking:
    """What a word for effort amounts to in tokens."""
    if effort is None:
        return None
    return False if effort == "none" else EFFORT_TOKENS.get(effort, True)


def function_of(fields_: Mapping[str, object], parameters: str = "parameters") -> Mapping[str, object]:
    """A tool as templates see it, with no field empty."""
    given = fields_.get(parameters) or {"type": "object", "properties": {}}
    description = fields_.get("description")
    return {
        "name": fields_["name"],
        **({} if description is None else {"description": description}),
        "parameters": given,
    }


def check_tool_choice(chosen: ToolChoice, tools: Sequence[Mapping[str, object]]) -> ToolChoice:
    """Raises InputError if a tool must be called that is not there, or two have one name."""
    names = [str(tool["name"]) for tool in tools]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"[request] tools: two are named {twice!r}")
    if isinstance(chosen, NamedTool) and chosen.name not in names:
        raise InputError(f"[request] tool_choice: no tool {chosen.name!r}; there are {', '.join(names) or 'none'}")
    if chosen == "required" and not names:
        raise InputError("[request] tool_choice: 'required' needs tools")
    return chosen


def format_of(response_format: Mapping[str, object] | None) -> OutputFormat | None:
    """OpenAI's response_format, or the flat text.format of its Responses API."""
    kind = None if response_format is None else response_format["type"]
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return OutputFormat(kind="json_object")
    nested = cast(Mapping[str, object], response_format.get("json_schema", response_format))
    return OutputFormat(kind="json_schema", source=cast("Mapping[str, object] | None", nested.get("schema")) or OBJECT)


def guided_of(body: Body, output: OutputFormat | None) -> OutputFormat | None:
    """The one form that the answer must have. Raises InputError if body asks for two."""
    found = [] if output is None else [output]
    if "guided_json" in body:
        found.append(OutputFormat(kind="json_schema", source=cast(Mapping[str, object], body["guided_json"])))
    if "guided_regex" in body:
        found.append(OutputFormat(kind="regex", source=cast(str, body["guided_regex"])))
    if "guided_lark" in body:
        found.append(OutputFormat(kind="lark", source=cast(str, body["guided_lark"])))
    if "guided_choice" in body:
        found.append(OutputFormat(kind="choice", source=tuple(cast(Sequence[str], body["guided_choice"]))))
    if len(found) > 1:
        raise InputError("[request] response_format: the answer can have one form, and several are asked for")
    return found[0] if found else None


def one_system(messages: Sequence[Message]) -> tuple[Message, ...]:
    """messages with the system messages at their beginning joined: templates know one."""
    count = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    if count < 2:
        return tuple(messages)
    joined = "\n\n".join(message.content for message in messages[:count])
    return (Message(role="system", content=joined), *messages[count:])
