"""Reasoning and content come apart the same way, however the text is cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambino.chat.stream import ThinkingSplitter, opens_thinking


def split(feeds: list[str], *, inside: bool) -> tuple[str, str]:
    splitter = ThinkingSplitter(starts_inside=inside)
    parts = [part for text in feeds for part in splitter.feed(text)] + splitter.finish()
    assert all(part.text for part in parts)
    kinds = [part.kind for part in parts]
    assert kinds == sorted(kinds, reverse=True), "reasoning comes before content"
    return tuple("".join(part.text for part in parts if part.kind == kind) for kind in ("reasoning", "content"))  # type: ignore[return-value]


CASES = [
    ("plain answer", False, "", "plain answer"),
    ("two\nlines\n", False, "", "two\nlines\n"),
    ("<think>\nhm\n</think>\n\n4", False, "hm", "4"),
    ("  <think>hm</think>4", False, "hm", "4"),
    ("hm\n\nso\n</think>\nYes.", True, "hm\n\nso", "Yes."),
    ("never closed\n", True, "never closed", ""),
    ("</think>4", True, "", "4"),
    ("a < b </thin b</think>c", True, "a < b </thin b", "c"),
    ("one</think>two</think>three", True, "one", "two</think>three"),
    ("text <think>x</think>", False, "", "text <think>x</think>"),
    ("<thin", False, "", "<thin"),
    ("", True, "", ""),
    ("\n\n", False, "", "\n\n"),
    ("hm</thi", True, "hm</thi", ""),
    ("<think></think>4", False, "", "4"),
]


@pytest.mark.parametrize(("text", "inside", "reasoning", "content"), CASES)
def test_every_cut_of_the_stream_gives_the_same_parts(text: str, inside: bool, reasoning: str, content: str) -> None:
    expected = (reasoning, content)
    assert split([text], inside=inside) == expected
    assert split(list(text), inside=inside) == expected
    for cut in range(len(text)):
        assert split([text[:cut], text[cut:]], inside=inside) == expected


@given(st.text(alphabet="<>/think \na", max_size=60), st.lists(st.integers(0, 60), max_size=5), st.booleans())
def test_any_text_any_cut(text: str, cuts: list[int], inside: bool) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    feeds = [text[a:b] for a, b in pairwise(edges)]
    assert split(feeds, inside=inside) == split([text], inside=inside)


def test_content_is_not_held_back() -> None:
    splitter = ThinkingSplitter(starts_inside=False)
    assert splitter.feed("Hello")[0].text == "Hello"
    assert splitter.feed("\n")[0].text == "\n"


def test_prompts_that_leave_thinking_open() -> None:
    assert opens_thinking("<|im_start|>assistant\n<think>\n")
    assert not opens_thinking("<|im_start|>assistant\n<think></think>")
    assert not opens_thinking("<|im_start|>assistant\n")
