"""Grammars allow what they describe and nothing else, force what leaves no choice, and end only where they may."""

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest

from grammar_texts import walk
from mambino.errors import InputError
from mambino.generation.grammar import GrammarConstraint, compiler_of
from mambino.generation.lark import Grammar, choice, inline_json, inline_regex
from mambino.tokenizer.tokenizer import Tokenizer
from tiny_chat import tiny_tokenizer

TOKENIZER = tiny_tokenizer()
END = TOKENIZER.eos_token_ids[0]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def constraint(symbol: str, tokenizer: Tokenizer = TOKENIZER, vocab_size: int | None = None) -> GrammarConstraint:
    grammar = Grammar(rules=f"start: {symbol}")
    return compiler_of(tokenizer, vocab_size or tokenizer.vocab_size).constraint(grammar)


def test_json_that_fits_is_allowed_and_ends() -> None:
    followed = constraint(inline_json(SCHEMA))
    seen = walk(followed, TOKENIZER, '{"name": "hello \\"x\\" é", "age": 3}')
    assert seen.rest == ""
    assert seen.may_end
    assert followed.forced() == (END,)
    assert followed.is_complete


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('{"age', "age"),
        ('{"name": 3', "3"),
        ('{"name": "x", "age": -1', "-1"),
        (' {"', ' {"'),
        ("<|im_end|>", "<|im_end|>"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, rest: str) -> None:
    assert walk(constraint(inline_json(SCHEMA)), TOKENIZER, text).rest == rest


def test_keys_and_punctuation_are_forced() -> None:
    followed = constraint(inline_json(SCHEMA))
    assert TOKENIZER.decode(followed.forced()) == '{"name": "'
    for token in followed.forced():
        followed.advance(token)
    assert followed.forced() == ()
    assert walk(followed, TOKENIZER, 'Al"').forced == ', "age": '


@pytest.mark.parametrize(
    ("symbol", "good", "bad"),
    [
        (inline_regex(r"[a-c]+/\d{2}"), "abc/12", "abc/1x"),
        (inline_regex(r"a\/b\n"), "a/b\n", "ab"),
        (choice(("yes", "no", 'say "hi"\n')), 'say "hi"\n', "nope"),
        (inline_json({"type": "array", "items": {"enum": [1, "two", None]}}), '[1, "two", null]', "[2]"),
    ],
)
def test_other_forms(symbol: str, good: str, bad: str) -> None:
    seen = walk(constraint(symbol), TOKENIZER, good)
    assert (seen.rest, seen.may_end) == ("", True)
    seen = walk(constraint(symbol), TOKENIZER, bad)
    assert seen.rest or not seen.may_end


def test_a_longer_choice_may_go_on() -> None:
    seen = walk(constraint(choice(("no", "nope"))), TOKENIZER, "no")
    assert (seen.may_end, seen.forced) == (True, "")


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        (inline_json({"type": "thing"}), "thing"),
        (inline_json({"type": "array", "uniqueItems": True}), "uniqueItems"),
        (inline_regex("(a"), "regex"),
        ('"a" (', "Expected"),
        ("missing_rule", "missing_rule"),
    ],
)
def test_a_bad_grammar_is_refused_with_its_reason(symbol: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        constraint(symbol)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: inline_json({"enum": ["x" * 100 + str(index) for index in range(3000)]}), "characters"),
        (lambda: inline_json({"not JSON": b""}), "no JSON"),
        (lambda: inline_json(nested(5000)), "no JSON"),
        (lambda: inline_json(nested(200)), "recursion"),
        (lambda: "(" * 5000 + '"a"' + ")" * 5000, "nested"),
        (lambda: inline_regex("(" * 5000 + "a" + ")" * 5000), "regex"),
    ],
    ids=["large", "bytes", "very deep schema", "deep schema", "deep grammar", "deep pattern"],
)
def test_hostile_grammars_are_refused_quickly(make: Callable[[], str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        constraint(make())


def nested(depth: int) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def test_lenient_schemas_pass_over_what_a_grammar_cannot_say() -> None:
    symbol = inline_json({"type": "array", "uniqueItems": True}, is_lenient=True)
    assert walk(constraint(symbol), TOKENIZER, "[1, 1]").may_end


def test_a_token_outside_the_grammar_is_an_error() -> None:
    with pytest.raises(InputError, match="grammar"):
        constraint('"yes"').advance(TOKENIZER.encode("no")[0])


def test_the_mask_has_the_models_length() -> None:
    padded = TOKENIZER.vocab_size + 37
    mask = constraint(inline_regex(".*"), vocab_size=padded).mask()
    assert mask.shape == (padded,)
    assert mask.dtype == np.bool_
    assert not mask[TOKENIZER.vocab_size :].any()


def test_two_constraints_of_one_grammar_do_not_share_progress() -> None:
    first, second = constraint('"ab" | "cd"'), constraint('"ab" | "cd"')
    walk(first, TOKENIZER, "a")
    assert TOKENIZER.decode(first.forced()) == "b"
    assert walk(second, TOKENIZER, "cd").may_end


def test_a_compiler_is_made_once_and_goes_with_its_tokenizer() -> None:
    tokenizer = tiny_tokenizer()
    compiler = compiler_of(tokenizer, tokenizer.vocab_size)
    assert compiler_of(tokenizer, tokenizer.vocab_size) is compiler
    gone = weakref.ref(tokenizer)
    del tokenizer, compiler
    gc.collect()
    assert gone() is None
