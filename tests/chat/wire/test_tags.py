"""Tags are found whole; an ending that may become one is left over, and never more than that."""

from mambino.chat.wire.tags import Found, TagFinder

FINDER = TagFinder(("<a>", "\n<a>", "</a>"))


def test_the_first_tag_splits_the_text() -> None:
    assert FINDER.split("x</a>y<a>z") == Found(before="x", tag="</a>", rest="y<a>z")
    assert FINDER.split("x\n<a>") == Found(before="x", tag="\n<a>", rest="")


def test_what_may_become_a_tag_is_left_over() -> None:
    for held in ("<", "<a", "</", "</a", "\n", "\n<", "\n<a"):
        assert FINDER.split("text" + held) == Found(before="text", tag=None, rest=held)
    for certain in ("a", "<b", "\n\r", "<<b"):
        assert FINDER.split("text" + certain) == Found(before="text" + certain, tag=None, rest="")


def test_without_tags_everything_is_certain() -> None:
    assert TagFinder(()).split("<a>") == Found(before="<a>", tag=None, rest="")
