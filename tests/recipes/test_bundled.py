"""The text that the bundled model learns from: well-formed, true in its own world, and the same for the same seed."""

import random
import re
from pathlib import Path

import pytest
from recipes.bundled import facts
from recipes.bundled.assistant.template import TEMPLATE
from recipes.bundled.chats import dialogue
from recipes.bundled.data import Prepared, assistant_documents, prepare
from recipes.bundled.grammar import expand
from recipes.bundled.stories import PLOTS, Wish, story
from recipes.bundled.words import NUMBERS

from mambino.formats.checkpoint import open_checkpoint
from mambino.hub.local import resolve
from mambino.load import open_tokenizer

pytestmark = pytest.mark.torch  # the recipe imports it

SCALE, VOCAB_SIZE = 0.0005, 400
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


def test_only_the_models_own_words_are_targets(prepared: Prepared) -> None:
    decode = prepared.prompt.tokenizer.decode
    for name in ("chats", "requests"):
        document = prepared.training[name][0]
        text, written = decode(document.tokens), decode(document.tokens[document.counted])
        answers = re.findall(r"<think></think>(.*?<\|im_end\|>)", text, re.DOTALL)
        assert written == "".join(answers), text
    assert prepared.training["stories"].counted.all()


def test_every_stage_draws_rows_of_its_own(prepared: Prepared, tmp_path: Path) -> None:
    first, again, other = (
        assistant_documents(tmp_path / f"{place}.npz", prepared.tokenizer, 20, seed=seed, split="train").sha256
        for place, seed in enumerate((1, 1, 2))
    )
    assert first == again != other


def test_equal_seeds_give_equal_corpora_without_any_files(prepared: Prepared, tmp_path: Path) -> None:
    again = prepare(tmp_path / "again", tmp_path, SCALE, vocab_size=VOCAB_SIZE, seed=6)
    assert {name: documents.sha256 for name, documents in again.training.items()} == {
        name: documents.sha256 for name, documents in prepared.training.items()
    }
    assert again.prompt.tokenizer.chat_template == TEMPLATE


def test_training_that_goes_on_from_a_file_keeps_the_ids_of_its_tokenizer(tmp_path: Path) -> None:
    file = resolve("bundled")
    going_on = prepare(
        tmp_path, tmp_path, SCALE, vocab_size=VOCAB_SIZE, seed=6, tokenizer_of=open_checkpoint(file).metadata
    )
    text, theirs = "<|im_start|>user\nTurn on the lamp.<|im_end|>", open_tokenizer(file)
    assert going_on.prompt.tokenizer.encode(text, parse_special=True) == theirs.encode(text, parse_special=True)
    assert going_on.prompt.tokenizer.chat_template == theirs.chat_template
    assert going_on.training["stories"].tokens.max() >= VOCAB_SIZE  # their words, not ones made anew


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("data")
    return prepare(folder / "made", folder, SCALE, vocab_size=VOCAB_SIZE, seed=6)
