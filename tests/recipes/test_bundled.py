"""The text that the bundled model learns from: well-formed, true in its own world, and the same for the same seed."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from recipes.bundled import facts
from recipes.bundled.chats import dialogue, story_only
from recipes.bundled.grammar import expand
from recipes.bundled.recipe import written_by_model
from recipes.bundled.stories import PLOTS, Wish, story
from recipes.bundled.text import CHAT_TEMPLATE, chat_text, make_corpora, raw_text, train_tokenizer
from recipes.bundled.words import NUMBERS

from mambino.chat.messages import message_from_json
from mambino.chat.template import ChatTemplate

pytestmark = pytest.mark.torch  # the recipe imports it

_LEFT_OVER = re.compile(r"[\[\]{}|]|a\(n\)|\.\.|  | [.,!?]")
_WRONG_ARTICLE = re.compile(r"\b(a [aeiou]|an [^aeiou])", re.IGNORECASE)


def test_choices_slots_and_articles() -> None:
    rng = random.Random(0)
    assert expand("[x|x] {Who} has a(n) {what}.", {"who": "tom", "what": "old hat"}, rng) == "x Tom has an old hat."
    assert {expand("[a|[b|c]]", {}, rng) for _ in range(50)} == {"a", "b", "c"}
    with pytest.raises(KeyError):
        expand("{nobody}", {}, rng)


@pytest.mark.parametrize("theme", PLOTS)
def test_no_template_shows_through_in_any_plot(theme: str) -> None:
    rng = random.Random(1)
    for _ in range(40):
        text = story(rng, Wish(theme=theme))
        assert not _LEFT_OVER.search(text), text
        assert not _WRONG_ARTICLE.search(text), text
        assert text.count('"') % 2 == 0, text


def test_a_wish_is_granted() -> None:
    rng = random.Random(2)
    assert all("named Lily" in (text := story(rng, Wish(name="Lily"))) or "Lily was" in text for _ in range(30))
    assert all("kite" in story(rng, Wish(toy="kite")) for _ in range(30))


def test_dialogues_alternate_and_end_with_an_answer() -> None:
    rng = random.Random(3)
    for _ in range(300):
        turns = [turn for turn in dialogue(rng) if turn[0] != "system"]
        assert [role for role, _ in turns] == ["user", "assistant"] * (len(turns) // 2)
        for _, text in turns:
            assert text, turns
            assert not _LEFT_OVER.search(text.replace("What is 1 + 1", "")), text


def test_sums_are_right() -> None:
    rng = random.Random(4)
    word = "|".join(NUMBERS)
    for _ in range(400):
        _, reply = facts.number(rng)
        if match := re.fullmatch(
            rf"({word}|\d+) (plus|minus|and|\+) ({word}|\d+) is ({word}|\d+)\.", reply, re.IGNORECASE
        ):
            first, second, result = (_value(match[index]) for index in (1, 3, 4))
            assert result == (first - second if match[2] == "minus" else first + second), reply


def _value(text: str) -> int:
    return int(text) if text.isdigit() else NUMBERS.index(text.lower())


def test_the_chat_template_prints_what_was_trained() -> None:
    turns = story_only(random.Random(5))
    messages = [message_from_json({"role": role, "content": text}) for role, text in turns]
    rendered = ChatTemplate(CHAT_TEMPLATE).render(messages[:1], add_generation_prompt=True)
    assert chat_text(turns).startswith(rendered)
    assert ChatTemplate(CHAT_TEMPLATE).render(messages, add_generation_prompt=False) == chat_text(turns)


def test_only_the_models_own_words_are_targets() -> None:
    texts = [raw_text("Hi there."), chat_text([("system", "Be nice."), ("user", "Hi"), ("assistant", "Hello!")] * 2)]
    encoder = tokenizers.Tokenizer.from_str(train_tokenizer(texts * 9, 300))
    tokens = np.array([token for text in texts for token in encoder.encode(text).ids], dtype=np.int32)
    counted = written_by_model(tokens, encoder.encode("assistant").ids)
    written = encoder.decode(tokens[counted].tolist(), skip_special_tokens=False)
    assert written == "<s>Hi there.</s>Hello!<|im_end|>Hello!<|im_end|>"


def test_equal_seeds_give_equal_corpora_without_any_files(tmp_path: Path) -> None:
    first, second = (make_corpora(0.001, tmp_path, seed=6) for _ in range(2))
    assert first == second
    assert first["books"] == []
    assert make_corpora(0.001, tmp_path, seed=7) != first
