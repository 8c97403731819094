"""Wrapping changes line breaks only, never breaks a word that fits, and does not depend on how the text was cut."""

import pytest

from mambino.cli.wrap import WordWrap

TEXT = "The quick brown fox, quietly,  jumps over\nthe lazy dog.\n\nIncomprehensibilities! " + "日本語" * 9 + " end"


def wrapped(text: str, width: int, piece: int) -> str:
    wrap = WordWrap(width)
    return "".join(wrap.feed(text[i : i + piece]) for i in range(0, len(text), piece)) + wrap.finish()


@pytest.mark.parametrize("width", [1, 2, 7, 10, 20, 200])
def test_the_cut_of_the_stream_does_not_matter(width: int) -> None:
    assert len({wrapped(TEXT, width, piece) for piece in (1, 2, 3, 5, len(TEXT))}) == 1


@pytest.mark.parametrize("width", [7, 10, 20])
def test_lines_fit_and_words_stay_whole(width: int) -> None:
    text = "one two three four five six seven eight nine ten eleven"
    lines = wrapped(text, width, 1).split("\n")
    assert all(len(line.rstrip()) <= width for line in lines)
    assert " ".join(line.strip() for line in lines) == text


def test_text_that_fits_is_not_touched() -> None:
    assert wrapped("a line\n\n  indented  twice\n", 80, 1) == "a line\n\n  indented  twice\n"


def test_nothing_but_spaces_and_breaks_is_lost() -> None:
    assert "".join(wrapped(TEXT, 9, 2).split()) == "".join(TEXT.split())


def test_a_word_wider_than_the_line_passes() -> None:
    assert wrapped("ab " + "x" * 25, 10, 4).replace("\n", "") == "ab " + "x" * 25
