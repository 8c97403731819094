"""Reasoning ends: by the model, by its budget, by a loop, by the user; and the answer's grammar begins after it."""

import string
from itertools import pairwise

import numpy as np
import pytest

from mambino.chat.request import AnswerRequest, OutputFormat, Thinking, ToolChoice
from mambino.chat.steering import constraint_for
from mambino.chat.template import ChatTemplate
from mambino.chat.thinking import CALL_GRACE_TOKENS, RAMP_LOGITS, ThinkingControl, ThinkingTags, thinking_tags_of
from mambino.chat.wire.format import Schema
from mambino.chat.wire.hermes import HERMES
from mambino.generation.generate import generate
from mambino.generation.params import SamplingParams
from mambino.tokenizer.tokenizer import Tokenizer
from tiny_chat import CONTROL, TEMPLATE, ReplyLM, tiny_tokenizer

SINGLE = tiny_tokenizer()
SPELLED = tiny_tokenizer(control=CONTROL[:2])  # tags of several tokens
TOKENIZERS = pytest.mark.parametrize("tokenizer", [SINGLE, SPELLED], ids=["one token", "several tokens"])
TAGS = ThinkingTags(before_close="\n", after_close="\n")
MANY = string.digits + string.ascii_uppercase + string.punctuation + "abcdfgijkmnp"  # nothing repeats, nothing merges
TOOL: Schema = {"name": "w", "parameters": {"type": "object"}}
PROMPT = "<|im_start|>assistant\n<think>\n"


def control(
    tokenizer: Tokenizer = SINGLE,
    *,
    thinking: Thinking = True,
    prompt: str = PROMPT,
    output: OutputFormat | None = None,
    tags: ThinkingTags | None = TAGS,
    tools: tuple[Schema, ...] = (),
    tool_choice: ToolChoice = "auto",
) -> ThinkingControl:
    request = AnswerRequest(messages=(), thinking=thinking, output=output, tools=tools, tool_choice=tool_choice)
    return constraint_for(
        request, wire=HERMES, tags=tags, tokenizer=tokenizer, vocab_size=tokenizer.vocab_size, prompt_text=prompt
    )


def feed(constraint: ThinkingControl, tokenizer: Tokenizer, text: str) -> None:
    """Every token must be free to choose."""
    for token in tokenizer.encode(text, parse_special=True):
        assert not constraint.forced()
        constraint.advance(token)


def take_forced(constraint: ThinkingControl, tokenizer: Tokenizer) -> str:
    taken: list[int] = []
    while forced := constraint.forced():
        if forced[0] in tokenizer.eos_token_ids:
            break
        taken.append(forced[0])
        constraint.advance(forced[0])
    return tokenizer.decode(taken)


@TOKENIZERS
def test_the_model_may_close_by_itself(tokenizer: Tokenizer) -> None:
    constraint = control(tokenizer)
    feed(constraint, tokenizer, "well\n")
    assert constraint.is_reasoning
    feed(constraint, tokenizer, "</think>")
    assert not constraint.is_reasoning
    assert (constraint.is_closed_by, constraint.reasoning_tokens) == ("model", len(tokenizer.encode("well\n")))
    feed(constraint, tokenizer, "\n\nHello <think>")
    assert (constraint.is_closed_by, constraint.reasoning_tokens) == ("model", len(tokenizer.encode("well\n")))


@TOKENIZERS
@pytest.mark.parametrize(("text", "forced"), [("abcd", "\n</think>\n"), ("abc\n", "</think>\n")])
def test_the_budget_closes_hard(tokenizer: Tokenizer, text: str, forced: str) -> None:
    constraint = control(tokenizer, thinking=4)
    feed(constraint, tokenizer, text)
    assert take_forced(constraint, tokenizer) == forced
    assert (constraint.is_closed_by, constraint.reasoning_tokens) == ("budget", 4)
    assert not constraint.is_reasoning
    feed(constraint, tokenizer, "abcdefgh")


def test_no_budget_left_closes_at_once() -> None:
    constraint = control(thinking=0)
    assert take_forced(constraint, SINGLE) == "</think>\n"


@TOKENIZERS
def test_the_closing_tag_becomes_likelier_near_the_budget(tokenizer: Tokenizer) -> None:
    first = tokenizer.encode("</think>", parse_special=True)[0]
    constraint = control(tokenizer, thinking=100)
    feed(constraint, tokenizer, MANY[:80])
    assert constraint.bias() == {}
    feed(constraint, tokenizer, "abcde")
    inside = [constraint.bias()[first]]
    for letter in "uvwxy":
        feed(constraint, tokenizer, letter)
        inside.append(constraint.bias()[first])
    assert inside == sorted(set(inside))
    assert 0 < inside[0] < inside[-1] < RAMP_LOGITS
    feed(constraint, tokenizer, "\n")
    assert constraint.bias()[first] > 2 * inside[-1]
    while constraint.reasoning_tokens < 98:
        feed(constraint, tokenizer, "x")
    feed(constraint, tokenizer, "\n")
    assert constraint.bias()[first] == pytest.approx(RAMP_LOGITS)


def test_a_begun_tag_of_several_tokens_is_carried_on() -> None:
    ids = SPELLED.encode("</think>")
    constraint = control(SPELLED, thinking=20)
    feed(constraint, SPELLED, "abcdfgijkmnpqrsuvw")
    for token, following in pairwise(ids):
        if constraint.forced():
            break
        constraint.advance(token)
        assert constraint.bias().keys() == {following} or constraint.forced()
    assert take_forced(constraint, SPELLED) == "think>\n"
    assert constraint.is_closed_by == "budget"


@TOKENIZERS
def test_a_call_inside_the_reasoning_is_not_cut_in_two(tokenizer: Tokenizer) -> None:
    call = '<tool_call>\n{"name": "w", "arguments": {}}\n</tool_call>'
    constraint = control(tokenizer, thinking=14, tools=(TOOL,))
    feed(constraint, tokenizer, f"ab{call}")
    assert take_forced(constraint, tokenizer) == "\n</think>\n"


def test_a_call_that_never_ends_is_cut_off() -> None:
    constraint = control(thinking=14, tools=(TOOL,))
    feed(constraint, SINGLE, "<tool_call>")
    for number in range(CALL_GRACE_TOKENS + 1):
        if constraint.forced():
            return
        constraint.advance(number % 251)
    pytest.fail("the budget was never enforced")


def test_a_model_may_end_after_a_call_in_its_reasoning() -> None:
    assert not control(tools=(TOOL,)).bias()
    required = control(tools=(TOOL,), tool_choice="required")
    assert required.bias() == dict.fromkeys(SINGLE.eos_token_ids, -np.inf)


@TOKENIZERS
def test_answer_now(tokenizer: Tokenizer) -> None:
    constraint = control(tokenizer)
    feed(constraint, tokenizer, "hm")
    constraint.end_now()
    assert take_forced(constraint, tokenizer) == "\n</think>\n"
    assert constraint.is_closed_by == "user"


def test_answer_now_outside_reasoning_does_nothing() -> None:
    constraint = control(prompt="<|im_start|>assistant\n<think></think>")
    constraint.end_now()
    feed(constraint, SINGLE, "Hello")
    assert constraint.is_closed_by is None


@pytest.mark.parametrize("stretch", ["a", "so the hello, then the other\n", "0123456789" * 20])
def test_a_loop_is_closed(stretch: str) -> None:
    constraint = control()
    feed(constraint, SINGLE, "Let me see:\n")
    for _ in range(200):
        for token in SINGLE.encode(stretch):
            if constraint.forced():
                assert constraint.is_closed_by == "loop"
                return
            constraint.advance(token)
    pytest.fail("it went round and round")


def test_tables_and_rules_are_no_loops() -> None:
    feed(control(), SINGLE, "| a | b | c |\n|---|---|---|\n" + "".join(f"| {n} | {n * n} | 0 |\n" for n in range(40)))
    feed(control(), SINGLE, "=" * 60 + "\n" + "0, " * 20)


@TOKENIZERS
def test_thinking_off_forbids_the_opening_tag(tokenizer: Tokenizer) -> None:
    constraint = control(tokenizer, thinking=False, prompt="<|im_start|>assistant\n")
    *ids, last = tokenizer.encode("<think>", parse_special=True)
    for token in ids:
        assert constraint.bias() == {}
        constraint.advance(token)
    assert constraint.bias() == {last: -np.inf}


@TOKENIZERS
@pytest.mark.parametrize("output", [None, OutputFormat(kind="choice", source=("yes", "no"))], ids=["free", "choice"])
def test_a_model_may_open_thinking_by_itself(tokenizer: Tokenizer, output: OutputFormat | None) -> None:
    constraint = control(tokenizer, thinking=3, prompt="<|im_start|>assistant\n", output=output)
    first, *rest = tokenizer.encode("<think>", parse_special=True)
    mask = constraint.mask()
    assert mask is None or mask[first]
    constraint.advance(first)
    for token in rest:
        constraint.advance(token)
    assert constraint.is_reasoning
    feed(constraint, tokenizer, "abc")
    assert take_forced(constraint, tokenizer).startswith("\n</think>\n")
    assert constraint.is_closed_by == "budget"


@TOKENIZERS
def test_or_answer_without_it(tokenizer: Tokenizer) -> None:
    constraint = control(
        tokenizer, prompt="<|im_start|>assistant\n", output=OutputFormat(kind="choice", source=("yes",))
    )
    mask = constraint.mask()
    assert mask is not None
    assert mask[tokenizer.encode("y")[0]]
    constraint.advance(tokenizer.encode("y")[0])
    assert take_forced(constraint, tokenizer) == "es"
    assert not constraint.is_reasoning


@TOKENIZERS
def test_the_grammar_begins_after_the_reasoning(tokenizer: Tokenizer) -> None:
    constraint = control(tokenizer, output=OutputFormat(kind="choice", source=("yes", "no")))
    feed(constraint, tokenizer, "maybe")
    assert constraint.mask() is None
    assert constraint.bias() == dict.fromkeys(tokenizer.eos_token_ids, -np.inf)
    feed(constraint, tokenizer, "</think>")
    assert take_forced(constraint, tokenizer) == "\n"
    mask = constraint.mask()
    assert mask is not None
    assert {tokenizer.decode([token]) for token in np.flatnonzero(mask).tolist()} <= {"y", "n", "ye", "no", "yes"}


def test_generation_closes_and_answers_in_form() -> None:
    """Through the real loop: a model that would think for ever answers in JSON."""
    model = ReplyLM(SINGLE, ["hello the the hello " * 40])
    constraint = control(thinking=24, output=OutputFormat(kind="json_schema", source={"const": {"a": 1}}))
    params = SamplingParams(temperature=0.0, max_tokens=100, stop_token_ids=SINGLE.eos_token_ids)
    prompt = SINGLE.encode(PROMPT, parse_special=True)
    events = list(generate(model, model.new_state(400), prompt, params, decoder=SINGLE.stream(), constraint=constraint))
    text = "".join(event.text for event in events)
    assert text.partition("</think>")[2] == '\n{"a": 1}'
    assert events[-1].finish_reason == "stop"
    assert constraint.is_closed_by in ("budget", "model")
    assert constraint.reasoning_tokens <= 24


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (TEMPLATE, ThinkingTags(before_close="\n", after_close="\n")),
        ("{{ messages }}", None),
        ("{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}", ThinkingTags()),
        ("{{ raise_exception('</think>') }}", ThinkingTags()),
    ],
)
def test_tags_are_read_off_the_template(source: str, expected: ThinkingTags | None) -> None:
    assert thinking_tags_of(ChatTemplate(source)) == expected
