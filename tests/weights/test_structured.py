"""A real, small model under grammars: whatever it would rather say, what comes out parses and fits."""

import json
import time
from pathlib import Path

import jsonschema
import pytest

from chat_events import joined
from mambino.chat.messages import Message, ToolCall
from mambino.chat.prompt import PromptEncoder
from mambino.chat.request import AnswerRequest, NamedTool, OutputFormat
from mambino.chat.steering import constraint_for
from mambino.chat.stream import AnswerParser
from mambino.chat.thinking import ThinkingTags, thinking_tags_of
from mambino.chat.wire.detect import wire_format_of
from mambino.chat.wire.format import Schema, WireFormat
from mambino.chat.wire.hermes import HERMES
from mambino.chat.wire.nano_v2 import NANO_V2
from mambino.chat.wire.nemotron import NEMOTRON
from mambino.generation.generate import generate
from mambino.generation.grammar import GrammarCompiler
from mambino.generation.lark import Grammar, inline_json
from mambino.generation.params import SamplingParams
from mambino.lm import LanguageModel
from mambino.load import open_model, open_tokenizer
from mambino.tokenizer.files import tokenizer_from_directory
from mambino.tokenizer.tokenizer import Tokenizer

pytestmark = pytest.mark.weights
MAX_TOKENS = 200
BUILD_LIMIT_S = 20.0  # 131,072 tokens take one second on a quiet machine

PERSON: Schema = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "hobbies": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 3},
        "address": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 20},
                "zip": {"type": "string", "pattern": "^[0-9]{5}$"},
            },
            "required": ["city", "zip"],
            "additionalProperties": False,
        },
        "mood": {"enum": ["happy", "sad", None]},
    },
    "required": ["name", "age", "hobbies", "address", "mood"],
    "additionalProperties": False,
}
TOOLS: tuple[Schema, ...] = (
    {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 30}, "days": {"type": "integer", "maximum": 9}},
            "required": ["city", "days"],
        },
    },
    {
        "name": "set_light",
        "parameters": {
            "type": "object",
            "properties": {"room": {"type": "string", "enum": ["kitchen", "hall"]}, "on": {"type": "boolean"}},
            "required": ["room", "on"],
        },
    },
    {
        "name": "book",
        "parameters": {
            "type": "object",
            "properties": {
                "seats": {"type": "array", "items": {"type": "integer", "maximum": 99}, "minItems": 1, "maxItems": 3},
                "price": {"type": "number", "minimum": 0, "maximum": 500},
            },
            "required": ["seats", "price"],
        },
    },
)


@pytest.fixture(scope="module")
def model(smollm2: Path) -> LanguageModel:
    return open_model(smollm2)


@pytest.fixture(scope="module")
def tokenizer(smollm2: Path) -> Tokenizer:
    return open_tokenizer(smollm2)


def answered(
    model: LanguageModel, tokenizer: Tokenizer, request: AnswerRequest, wire: WireFormat | None, seed: int
) -> str:
    text = PromptEncoder(tokenizer).render(request.messages)
    prompt = tokenizer.encode(text, parse_special=True)
    constraint = constraint_for(
        request,
        wire=wire,
        tags=None,
        tokenizer=tokenizer,
        vocab_size=model.config.vocab_size,
        prompt_text=text,
    )
    params = SamplingParams(seed=seed, max_tokens=MAX_TOKENS, stop_token_ids=tokenizer.eos_token_ids)
    state = model.new_state(len(prompt) + MAX_TOKENS)
    events = list(generate(model, state, prompt, params, decoder=tokenizer.stream(), constraint=constraint))
    assert events[-1].finish_reason == "stop", "the grammar did not lead to an end"
    return "".join(event.text for event in events)


def test_json_fits_its_schema_over_many_seeds(model: LanguageModel, tokenizer: Tokenizer) -> None:
    request = AnswerRequest(
        messages=(Message(role="user", content="Describe a person as JSON."),),
        output=OutputFormat(kind="json_schema", source=PERSON),
    )
    answers = {answered(model, tokenizer, request, None, seed) for seed in range(20)}
    for answer in answers:
        jsonschema.validate(json.loads(answer), PERSON)
    assert len(answers) > 10, "twenty seeds should say different things"


@pytest.mark.parametrize("wire", [NEMOTRON, HERMES, NANO_V2], ids=lambda wire: wire.name)
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool["name"])
def test_a_named_tool_is_called_with_fitting_arguments(
    model: LanguageModel, tokenizer: Tokenizer, wire: WireFormat, tool: Schema
) -> None:
    request = AnswerRequest(
        messages=(Message(role="user", content=f"Use the tool {tool['name']}."),),
        tools=TOOLS,
        tool_choice=NamedTool(name=str(tool["name"])),
        parallel_calls=False,
    )
    parser = AnswerParser(wire=wire, tools=TOOLS)
    parts = joined(parser.feed(answered(model, tokenizer, request, wire, 1)) + parser.finish())
    [(name, arguments, repairs)] = parts["calls"]
    assert (name, repairs, parts["content"]) == (tool["name"], (), "")
    lenient = json.loads(
        json.dumps(tool["parameters"]).replace('"maxLength": 30', '"minLength": 0')
    )  # raw text is free
    jsonschema.validate(arguments, lenient)


def test_nemotron_writes_its_calls_with_its_own_tokens(nemotron_tokenizer: Path, shared_dir: Path) -> None:
    """The shipped template's calls, in the real vocabulary, where the tags are single control tokens."""
    tokenizer = tokenizer_from_directory(nemotron_tokenizer, None)
    template = shared_dir / "data/templates/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.jinja"
    prompt = PromptEncoder(tokenizer, template.read_text(encoding="utf-8"))
    wire, tags = wire_format_of(prompt.template.source), thinking_tags_of(prompt.template)
    assert (wire, tags) == (NEMOTRON, ThinkingTags(before_close="\n", after_close="\n"))
    call = ToolCall(id="", name="get_weather", arguments={"city": "Z\u00fcrich", "days": 3})
    request = AnswerRequest(messages=(Message(role="user", content="Weather?"),), tools=TOOLS)
    constraint = constraint_for(
        request,
        wire=wire,
        tags=tags,
        tokenizer=tokenizer,
        vocab_size=tokenizer.vocab_size,
        prompt_text=prompt.render(request.messages, tools=TOOLS),
    )
    text = "I look it up.\n</think>\n" + NEMOTRON.render([call, call]).removesuffix("\n")
    ids = tokenizer.encode(text, parse_special=True)
    forced = 0
    for token in ids:
        due, mask = constraint.forced(), constraint.mask()
        assert mask is None or mask[token], tokenizer.decode([token])
        forced += bool(due) and due[0] == token
        constraint.advance(token)
    mask = constraint.mask()
    assert mask is not None
    assert mask[tokenizer.eos_token_ids[0]]
    print(f"\n{forced} of {len(ids)} tokens were forced")
    assert forced > len(ids) / 3


def test_a_large_vocabulary_is_prepared_quickly(nemotron_tokenizer: Path) -> None:
    tokenizer = tokenizer_from_directory(nemotron_tokenizer, None)
    started = time.perf_counter()
    compiler = GrammarCompiler(tokenizer, tokenizer.vocab_size)
    built = time.perf_counter()
    constraint = compiler.constraint(Grammar(rules=f"start: {inline_json(PERSON)}"))
    mask = constraint.mask()
    print(f"\ngrammar vocabulary {built - started:.2f} s; first mask {1e3 * (time.perf_counter() - built):.1f} ms")
    assert tokenizer.decode(constraint.forced()).startswith('{"name":')
    assert mask.sum() < 100
    assert built - started < BUILD_LIMIT_S
