"""Our renderer against Hugging Face's apply_chat_template, on the shipped templates and many shapes of conversation."""

import itertools
from pathlib import Path
from typing import Any

import jinja2
import pytest

from mambino.chat.messages import Message, ToolCall
from mambino.chat.template import ChatTemplate
from mambino.errors import TemplateError

pytestmark = pytest.mark.torch

TEMPLATES = Path(__file__).resolve().parents[2] / "../shared/data/templates"
NAMES = (
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.jinja",
    "NVIDIA-Nemotron-Nano-v2.jinja",
    "SmolLM2-135M-Instruct.Q4_1.chat_template.jinja",
)

SYSTEM = Message(role="system", content='Be <brief> & "kind".\n\nAlways. /no_think')
EMPTY_SYSTEM = Message(role="system", content="")
ASK = Message(role="user", content="  What is 2+2? 日本 🙂 <think> {{ x }}\r\n")
AGAIN = Message(role="user", content="And 3+3?")
PLAIN = Message(role="assistant", content="  4\n")
THOUGHT = Message(role="assistant", content="It is 4.", reasoning="two and two\nmake four")
TAGGED = Message(role="assistant", content="<think>\nhm\n</think>\n4")
BLANK = Message(role="assistant", content="")
CALL = ToolCall(id="1", name="add", arguments={"x": 2, "y": [1, "é"], "z": {"k": None}, "ok": True, "s": "a\nb"})
CALLS = Message(role="assistant", content="", tool_calls=(CALL, CALL))
THOUGHT_CALL = Message(role="assistant", content="Let me add.", reasoning="I need a tool", tool_calls=(CALL,))
RESULT = Message(role="tool", content='{"sum": 4}', tool_call_id="1")

CONVERSATIONS = {
    "one user": (ASK,),
    "system and user": (SYSTEM, ASK),
    "empty system": (EMPTY_SYSTEM, ASK),
    "two turns": (SYSTEM, ASK, PLAIN, AGAIN),
    "old thinking": (ASK, THOUGHT, AGAIN),
    "old tagged thinking": (ASK, TAGGED, AGAIN),
    "thinking last": (SYSTEM, ASK, THOUGHT),
    "tagged last": (ASK, TAGGED),
    "blank answer": (ASK, BLANK, AGAIN),
    "tool calls": (SYSTEM, ASK, CALLS, RESULT, RESULT),
    "thought before a call": (ASK, THOUGHT_CALL, RESULT, PLAIN, AGAIN),
    "call after call": (ASK, CALLS, RESULT, RESULT, THOUGHT_CALL, RESULT),
    "system in the middle": (ASK, PLAIN, SYSTEM, AGAIN),
}

ADD: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "  Add <numbers> & more. ",
        "parameters": {
            "type": "object",
            "properties": {
                "x": {"type": "integer", "description": " first ", "minimum": 0},
                "y": {"type": ["array", "null"], "items": {"type": "string"}, "default": None},
                "mode": {"type": "string", "enum": ["a", "é"]},
            },
            "required": ["x"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
BARE: dict[str, object] = {
    "name": "now",
    "description": "The time.",
    "parameters": {"type": "object", "properties": {}},
}


@pytest.fixture(scope="module")
def reference() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2}, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", CONVERSATIONS)
def test_every_shape_renders_as_transformers_renders_it(name: str, shape: str, reference: Any) -> None:
    path = TEMPLATES / name
    if not path.exists():
        pytest.skip(f"SKIPPED LOUDLY: {path} is not here, so the shipped templates are not compared")
    source = path.read_text(encoding="utf-8")
    ours = ChatTemplate(source, bos_token="<s>", eos_token="</s>")
    messages = CONVERSATIONS[shape]
    for tools, prompt, thinking in itertools.product(((), (ADD,), (ADD, BARE)), (True, False), (None, True, False)):
        asked = {} if thinking is None else {"enable_thinking": thinking}
        try:
            expected = reference.apply_chat_template(
                [message.to_json() for message in messages],
                tools=list(tools) or None,
                chat_template=source,
                add_generation_prompt=prompt,
                tokenize=False,
                **asked,
            )
        except (jinja2.TemplateError, TypeError):  # the template fails in both, or in neither
            with pytest.raises(TemplateError):
                ours.render(messages, tools=tools, add_generation_prompt=prompt, enable_thinking=thinking)
            continue
        rendered = ours.render(messages, tools=tools, add_generation_prompt=prompt, enable_thinking=thinking)
        assert rendered == expected


def test_the_templates_do_render(reference: Any) -> None:
    """Guards the comparison above: equal failures would also pass it."""
    path = TEMPLATES / NAMES[0]
    if not path.exists():
        pytest.skip(f"SKIPPED LOUDLY: {path} is not here")
    rendered = ChatTemplate(path.read_text(encoding="utf-8")).render((ASK,), tools=(ADD,), enable_thinking=False)
    assert "<type>integer</type>" in rendered
    assert '<required>["x"]</required>' in rendered
    assert rendered.endswith("<|im_start|>assistant\n<think></think>")
