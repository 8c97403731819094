from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambino.generation.stop import StopScanner

TEXT = st.text(alphabet="abc\u00e9", max_size=30)
STOPS = st.lists(st.text(alphabet="abc\u00e9", min_size=1, max_size=5), max_size=4)


def scan(stops: Sequence[str], pieces: Sequence[str]) -> tuple[str, str | None]:
    scanner = StopScanner(stops)
    shown = ""
    for piece in pieces:
        scanned = scanner.feed(piece)
        shown += scanned.text
        if scanned.stop is not None:
            return shown, scanned.stop
    return shown + scanner.flush(), None


def plainly(stops: Sequence[str], text: str) -> tuple[str, str | None]:
    """The definition: the first place where a stop string is complete; the longest one that ends there."""
    for end in range(len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            stop = max(ending, key=len)
            return text[: end - len(stop)], stop
    return text, None


@given(STOPS, TEXT, st.data())
def test_the_outcome_does_not_depend_on_how_the_text_is_cut(stops: list[str], text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    edges = [0, *cuts, len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert scan(stops, pieces) == plainly(stops, text)
    assert scan(stops, list(text)) == plainly(stops, text)


@given(STOPS, TEXT)
def test_only_what_may_begin_a_stop_string_is_held_back(stops: list[str], text: str) -> None:
    scanner = StopScanner(stops)
    shown, seen = "", ""
    for letter in text:
        scanned = scanner.feed(letter)
        seen += letter
        shown += scanned.text
        if scanned.stop is not None:
            return
        held = seen[len(shown) :]
        assert seen.startswith(shown)
        assert not held or any(stop.startswith(held) for stop in stops)


@pytest.mark.parametrize(
    ("pieces", "shown", "stop"),
    [
        (["Hello", "\n\nUs", "er: x"], "Hello", "\n\nUser:"),
        (["Hello", "\n\nUse", "less"], "Hello\n\nUseless", None),
        (["\n\n", "User:"], "", "\n\nUser:"),
        (["a\n", "\n\nUser:"], "a\n", "\n\nUser:"),
    ],
)
def test_a_stop_string_across_pieces_is_cut_off(pieces: list[str], shown: str, stop: str | None) -> None:
    assert scan(["\n\nUser:"], pieces) == (shown, stop)


def test_without_stop_strings_nothing_is_held() -> None:
    assert StopScanner(()).feed("text").text == "text"


def test_flush_empties_the_scanner() -> None:
    scanner = StopScanner(["abc"])
    assert scanner.feed("xab").text == "x"
    assert scanner.flush() == "ab"
    assert scanner.flush() == ""
    assert scanner.feed("c").text == "c"
