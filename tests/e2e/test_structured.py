"""The bundled model, far too small to know JSON, answers in it all the same."""

import json
from pathlib import Path

import jsonschema
import pytest

import mambino
from mambino.chat.request import OutputFormat
from mambino.chat.session import Chat
from mambino.generation.params import SamplingParams
from mambino.load import open_model, open_tokenizer

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(
        not list((Path(mambino.__file__).parent / "bundled").glob("*.gguf")),
        reason="NO BUNDLED MODEL in src/mambino/bundled",
    ),
]
SCHEMA = {
    "type": "object",
    "properties": {
        "animal": {"type": "string", "maxLength": 20},
        "legs": {"type": "integer", "minimum": 0, "maximum": 8},
        "colours": {"type": "array", "items": {"enum": ["red", "brown", "black"]}, "maxItems": 2},
    },
    "required": ["animal", "legs", "colours"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def chat() -> Chat:
    return Chat(open_model(threads=1), open_tokenizer(), max_tokens=400)


@pytest.mark.parametrize("seed", range(3))
def test_a_schema_is_kept(chat: Chat, seed: int) -> None:
    chat.clear()
    chat.params = SamplingParams(seed=seed, max_tokens=120)
    chat.output = OutputFormat(kind="json_schema", source=SCHEMA)
    answer = json.loads(chat.ask("Tell me about an animal."))
    jsonschema.validate(answer, SCHEMA)
    assert chat.last_turn is not None
    assert chat.last_turn.finish_reason == "stop"


@pytest.mark.parametrize(
    ("output", "answers"),
    [
        (OutputFormat(kind="choice", source=("yes", "no")), {"yes", "no"}),
        (OutputFormat(kind="regex", source=r"(Mon|Tues)day"), {"Monday", "Tuesday"}),
        (OutputFormat(kind="lark", source='start: "<" word ">"\nword: "cat" | "dog"'), {"<cat>", "<dog>"}),
    ],
    ids=lambda value: value.kind if isinstance(value, OutputFormat) else "",
)
def test_other_forms_are_kept(chat: Chat, output: OutputFormat, answers: set[str]) -> None:
    chat.clear()
    chat.params = SamplingParams(seed=1, max_tokens=40)
    chat.output = output
    assert chat.ask("Which one?") in answers
