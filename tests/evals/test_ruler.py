"""RULER: solvable from the text alone, not by chance, at any length, the same every time."""

import random
from pathlib import Path

import pytest

from evals.players import told
from evals.ruler_oracle import solve
from mambino.errors import InputError
from mambino.evals.data import SuiteOptions
from mambino.evals.runner import Results, run
from mambino.evals.tasks import load_task
from mambino.evals.tasks.ruler import TASKS

CHARACTERS_PER_TOKEN = 4  # of English, about
LENGTH_TOLERANCE = 0.5  # a text may miss its length by this share: tokenizers differ by as much


def play(options: SuiteOptions, folder: Path, answer: object) -> Results:
    assert callable(answer)
    return run(load_task("ruler", options), told(answer), folder, settings={})


@pytest.mark.parametrize("length", [512, 2048])
def test_an_oracle_solves_all_thirteen_tasks(length: int, tmp_path: Path) -> None:
    results = play(SuiteOptions(length=length, limit=3), tmp_path, solve)
    assert len(TASKS) == 13
    assert {name: results.metrics[name].value for name in ("score", *TASKS)} == dict.fromkeys(("score", *TASKS), 1.0)


def test_guessing_words_of_the_text_gives_what_chance_gives(tmp_path: Path) -> None:
    """Three words drawn from the prompt: a guess hits one of few names among hundreds of words."""
    rng = random.Random(0)
    results = play(SuiteOptions(length=1024, limit=5), tmp_path, lambda prompt: " ".join(rng.sample(prompt.split(), 3)))
    counting = ("cwe", "fwe", "vt")  # frequent words are drawn often
    others = [results.metrics[name].value for name in TASKS if name not in counting]
    assert max(others) <= 0.2


def test_saying_nothing_scores_nothing(tmp_path: Path) -> None:
    assert play(SuiteOptions(length=512, limit=1), tmp_path, lambda prompt: "I see.").metrics["score"].value == 0


def test_texts_have_about_the_length_asked_for() -> None:
    for length in (1024, 8192):
        for sample in load_task("ruler", SuiteOptions(length=length, limit=1)).samples:
            tokens = len(sample.prompt) / CHARACTERS_PER_TOKEN
            assert abs(tokens - length) < LENGTH_TOLERANCE * length, (sample.id, tokens, length)


def test_samples_are_the_same_in_every_run_and_differ_by_seed() -> None:
    one, same, other = (
        load_task("ruler:vt", SuiteOptions(length=512, limit=2, seed=seed)).samples[1].prompt for seed in (0, 0, 1)
    )
    assert one == same != other


def test_needles_hide_in_a_given_text(tmp_path: Path) -> None:
    text = tmp_path / "book.txt"
    text.write_text("It was a bright cold day. " * 50 + "The clocks struck thirteen!")
    sample = load_task("ruler:niah_single_2", SuiteOptions(length=512, limit=1, text=text)).samples[0]
    assert "bright cold day" in sample.prompt
    assert str(sample.data["expected"][0]) in sample.prompt  # type: ignore[index]


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="niah_single_1"):
        load_task("ruler:nosuch", SuiteOptions())
