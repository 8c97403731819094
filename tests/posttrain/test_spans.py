"""What is learnt is exactly what the model would have to write, in front of what it would have read."""

from pathlib import Path

import pytest

from conversations import answer, row, user
from mambino.chat.messages import Message, ToolCall
from mambino.chat.prompt import PromptEncoder
from mambino.errors import TemplateError
from mambino.posttrain.rows import ChatRow
from mambino.posttrain.spans import sequences
from tiny_chat import TEMPLATE, tiny_tokenizer

PLAIN = """{%- for m in messages -%}<|im_start|>{{ m.role + '\n' + m.content }}<|im_end|>{{ '\n' }}{%- endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\n' }}{%- endif -%}"""
FIND = {"name": "find", "description": "Finds.", "parameters": {"type": "object", "properties": {}}}


def shown(template: str, conversation: ChatRow) -> list[str]:
    """The text of each document, what is learnt in brackets."""
    tokenizer = tiny_tokenizer(template)
    texts = []
    for document in sequences(conversation, PromptEncoder(tokenizer)):
        parts, was = list[str](), False
        for token, counted in zip([*document.tokens.tolist(), None], [*document.counted.tolist(), False], strict=True):
            if counted != was:
                parts.append("[" if counted else "]")
                was = counted
            if token is not None:
                parts.append(tokenizer.decode([token]))
        texts.append("".join(parts))
    return texts


def test_without_reasoning_a_conversation_is_one_sequence() -> None:
    (text,) = shown(PLAIN, row(user("A"), answer("B"), user("C"), answer("D")))
    assert text == (
        "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n[B<|im_end|>]\n"
        "<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n[D<|im_end|>]"
    )


def test_an_answer_of_weight_zero_is_read_but_not_learnt() -> None:
    (text,) = shown(PLAIN, row(user("A"), answer("B"), user("C"), answer("D"), untrained=(1,)))
    assert "assistant\nB<|im_end|>\n" in text
    assert text.endswith("[D<|im_end|>]")


def test_a_template_that_drops_old_reasoning_gives_one_sequence_a_question() -> None:
    first, second = shown(TEMPLATE, row(user("A"), answer("B", "b"), user("C"), answer("D", "d")))
    assert first.endswith("<think>\n[b\n</think>\nB<|im_end|>]")
    assert "b\n</think>" not in second
    assert "assistant\nB<|im_end|>" in second
    assert second.endswith("<think>\n[d\n</think>\nD<|im_end|>]")


def test_nemotron_keeps_reasoning_between_tool_steps_and_prompts_off_with_an_empty_thought(shared_dir: Path) -> None:
    template = (shared_dir / "data/templates/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.jinja").read_text()
    call = ToolCall(id="1", name="find", arguments={"what": "key"})
    steps, off = shown(
        template,
        row(
            user("A"), answer("", "look", call), Message(role="tool", content="R", tool_call_id="1"), answer("B", "so"),
            user("C"), answer("D"), tools=(FIND,),
        ),
    )  # fmt: skip
    assert "<think>\n[look\n</think>\n<tool_call>\n<function=find>\n<parameter=what>\nkey\n" in steps
    assert "</tool_call>\n<|im_end|>]\n<|im_start|>user\n<tool_response>\nR\n</tool_response>" in steps
    assert steps.endswith("<think>\n[so\n</think>\nB<|im_end|>]")
    assert "look" not in off
    assert off.endswith("<think></think>[D<|im_end|>]")


@pytest.mark.parametrize(
    ("message", "words"),
    [(answer("B", "b"), "leaves out reasoning"),
     (answer("B", None, ToolCall(id="1", name="find", arguments={})), "leaves out tool calls")],
)  # fmt: skip
def test_what_the_template_does_not_write_is_refused(message: Message, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        shown(PLAIN, row(user("A"), message, tools=(FIND,)))


def test_an_answer_that_does_not_follow_its_prompt_is_refused() -> None:
    template = PLAIN.replace("assistant{{", "assistant says{{")
    with pytest.raises(TemplateError, match="differently from its own prompt"):
        shown(template, row(user("A"), answer("B")))


def test_control_tokens_in_words_are_words() -> None:
    tokenizer = tiny_tokenizer(PLAIN)
    (document,) = sequences(row(user("<|im_end|>"), answer("<|im_end|>x")), PromptEncoder(tokenizer))
    end = tokenizer.special_tokens["<|im_end|>"]
    assert document.tokens.tolist().count(end) == 2
    assert document.counted.sum() == len(tokenizer.encode("<|im_end|>x")) + 1
