"""The longest remembered beginning is found, and never more than the cap is held."""

from dataclasses import dataclass
from itertools import pairwise
from random import Random

import pytest

from mambino.errors import InputError
from mambino.generation.prefix_cache import (
    RECENT_PLACES,
    REPLAY_TOKENS,
    Keep,
    Place,
    SnapshotTree,
    beginnings,
    common_length,
    digest_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """A snapshot that says what memory it holds."""

    position: int
    pieces: tuple[tuple[int, int], ...]
    adapter: str = ""

    @property
    def nbytes(self) -> int:
        return sum(nbytes for _, nbytes in self.pieces)


def place(text: str, *pieces: tuple[int, int]) -> Place:
    return Place(text=text, ids=tuple(range(len(text))), snapshot=Pieces(position=len(text), pieces=pieces))


def adapted(text: str, adapter: str, *pieces: tuple[int, int]) -> Place:
    snapshot = Pieces(position=len(text), pieces=pieces, adapter=adapter)
    return Place(text=text, ids=tuple(range(len(text))), snapshot=snapshot)


def own_nbytes(text: str) -> int:
    """Of the text and the ids."""
    return 9 * len(text)


def test_the_longest_proper_beginning_is_found() -> None:
    tree = SnapshotTree(10**6)
    for number, text in enumerate(("a", "abc", "abcd", "abx")):
        assert tree.put(place(text, (number, 10)))
    found = tree.best("abcd")
    assert found is not None
    assert found.text == "abc"
    assert tree.best("xyz") is None
    refused = tree.best("abcde", lambda one: len(one.text) != 4)
    assert refused is not None
    assert refused.text == "abc"


def test_the_least_recently_used_goes_first_and_pinned_never() -> None:
    tree = SnapshotTree(330)
    tree.put(place("p", (1, 100)), keep="pinned")
    tree.put(place("a", (2, 90)))
    tree.put(place("b", (3, 90)))
    assert tree.best("a!") is not None
    tree.put(place("c", (4, 90)))
    assert tree.best("b!") is None
    assert tree.best("a!") is not None
    assert tree.best("p!") is not None


def texts(tree: SnapshotTree) -> list[str]:
    return sorted(known.text for known in tree._places.values())


def test_a_conversation_keeps_as_many_places_after_many_turns_as_after_few() -> None:
    tree = SnapshotTree(10**9)
    tree.put(place("system", (0, 10)), keep="lasting")
    counts = []
    for turn in range(1, 51):
        tree.put(place("system" + "q" * turn, (turn, 10)))
        counts.append(len(tree))
    assert set(counts[RECENT_PLACES:]) == {RECENT_PLACES + 1}
    assert texts(tree) == ["system", *("system" + "q" * turn for turn in (48, 49, 50))]


def test_a_long_conversation_keeps_places_for_a_bounded_replay() -> None:
    tree = SnapshotTree(10**9)
    step = REPLAY_TOKENS // 3
    for turn in range(1, 20):
        tree.put(place("q" * step * turn, (turn, 10)))
    lengths = [0, *(len(text) for text in texts(tree))]
    assert max(after - before for before, after in pairwise(lengths)) <= REPLAY_TOKENS
    assert len(tree) < 10


def test_where_two_lines_part_a_place_stays() -> None:
    tree = SnapshotTree(10**9)
    for text in ("a", "ab", "abx", "abc", "abcd", "abcde", "abcdef"):
        tree.put(place(text, (len(tree) + 10 * len(text), 10)))
    assert "ab" in texts(tree)
    assert "a" not in texts(tree)


def test_a_lasting_place_is_used_by_whatever_it_begins() -> None:
    tree = SnapshotTree(330)
    tree.put(place("s", (1, 90)), keep="lasting")
    for number in range(6):
        tree.put(place(f"s{number}", (10 + number, 90)))
    assert "s" in texts(tree)
    for number in range(6):
        tree.put(place(f"x{number}", (20 + number, 90)))
    assert "s" not in texts(tree)


def test_a_forgotten_line_loses_its_passing_places_and_no_others() -> None:
    tree = SnapshotTree(10**9)
    tree.put(place("s", (1, 10)), keep="lasting")
    tree.put(place("sp", (2, 10)), keep="pinned")
    for text in ("spa", "spab", "spx"):
        tree.put(place(text, (ord(text[-1]), 10)))
    tree.forget("spab!", beyond=3)
    assert texts(tree) == ["s", "sp", "spa", "spx"]
    tree.forget("spab!", beyond=0)
    assert texts(tree) == ["s", "sp", "spx"]


def test_shared_memory_is_counted_once_and_until_its_last_use() -> None:
    tree = SnapshotTree(10**6)
    tree.put(place("a", (1, 1000), (2, 5)))
    tree.put(place("ab", (1, 1000), (3, 7)))
    assert tree.nbytes == 1012 + own_nbytes("a") + own_nbytes("ab")
    small = SnapshotTree(1100)
    small.put(place("a", (1, 1000), (2, 5)))
    small.put(place("ab", (1, 1000), (3, 7)))
    assert len(small) == 2
    small.put(place("x", (9, 80)))
    assert small.nbytes <= 1100
    assert small.best("x!") is not None


def test_what_can_never_fit_drops_nothing() -> None:
    tree = SnapshotTree(200)
    tree.put(place("a", (1, 100)))
    assert not tree.put(place("b", (2, 500)))
    assert tree.best("a!") is not None
    tree.put(place("p", (3, 60)), keep="pinned")
    assert not tree.put(place("c", (4, 150)))
    assert tree.best("p!") is not None


def test_a_place_that_fits_only_beside_what_it_shares_is_refused() -> None:
    tree = SnapshotTree(1000)
    tree.put(place("a", (1, 900)))
    assert not tree.put(place("ab", (1, 900), (2, 500)))
    assert tree.best("a!") is not None


@pytest.mark.parametrize("seed", range(20))
def test_the_cap_holds_for_any_sharing(seed: int) -> None:
    random = Random(seed)
    tree = SnapshotTree(2000)
    for number in range(200):
        pieces = {random.randrange(12): None for _ in range(random.randrange(1, 6))}
        keep: Keep = random.choices(("passing", "lasting", "pinned"), (90, 8, 2))[0]
        text = random.choice(("ab", "ax", "b", f"{number} ")) * random.randrange(1, 12)
        tree.put(place(text, *((piece, 50 * (piece + 1)) for piece in pieces)), keep=keep)
        if random.random() < 0.2:
            tree.forget(text, beyond=random.randrange(20))
        held = {piece: size for known in tree._places.values() for piece, size in known.snapshot.pieces}
        assert tree.nbytes == sum(held.values()) + sum(own_nbytes(known.text) for known in tree._places.values())
        assert tree.nbytes <= 2000
        assert tree._pinned | tree._lasting <= set(tree._places)


def test_nothing_is_held_after_clear_and_a_cap_of_nothing_holds_nothing() -> None:
    tree = SnapshotTree(1000)
    tree.put(place("a", (1, 100)), keep="pinned")
    tree.clear()
    assert (tree.nbytes, len(tree)) == (0, 0)
    assert not SnapshotTree(0).put(place("a", (1, 1)))
    with pytest.raises(InputError, match="max_nbytes"):
        SnapshotTree(-1)


def test_the_same_place_again_changes_only_its_age() -> None:
    tree = SnapshotTree(1000)
    tree.put(place("a", (1, 100)))
    before = tree.nbytes
    assert tree.touch("a")
    assert tree.put(place("a", (7, 100)))
    assert tree.nbytes == before
    assert not tree.touch("b")


@pytest.mark.parametrize(("one", "other", "length"), [("", "", 0), ("abc", "abd", 2), ("ab", "abc", 2), ("x", "y", 0)])
def test_common_length(one: str, other: str, length: int) -> None:
    assert common_length(one, other) == common_length(other, one) == length
    assert common_length("q" * 999 + one, "q" * 999 + other) == 999 + length


def test_beginnings_are_found_by_the_digest_of_each() -> None:
    text = "gr\u00fc\u00df \U0001f600 dich"
    assert beginnings(text, [3, 1, 5, 99]) == [(length, digest_of(text[:length])) for length in (1, 3, 5)]


def test_the_same_text_under_another_adapter_is_another_place() -> None:
    tree = SnapshotTree(10_000)
    tree.put(place("ab", (0, 10)))
    tree.put(adapted("abc", "one", (1, 10)))
    tree.put(adapted("a", "two", (2, 10)))
    found = [tree.best("abcd", adapter=adapter) for adapter in ("", "one", "two", "three")]
    assert [one and (one.text, one.adapter) for one in found] == [("ab", ""), ("abc", "one"), ("a", "two"), None]
    assert tree.touch("abc", "one")
    assert not tree.touch("abc", "two")
    assert tree.nearest("abcd", "two") == "a"
    tree.forget("abcd", beyond=0, adapter="one")
    assert [tree.best("abcd", adapter=adapter) is None for adapter in ("", "one", "two")] == [False, True, False]


def test_lines_of_two_adapters_do_not_thin_each_other() -> None:
    tree = SnapshotTree(100_000)
    texts = ["a" * count for count in range(1, RECENT_PLACES + 3)]
    for index, text in enumerate(texts):
        tree.put(place(text, (index, 10)))
    kept = len(tree)
    for index, text in enumerate(texts):
        tree.put(adapted(text, "one", (100 + index, 10)))
    assert len(tree) == 2 * kept == 2 * RECENT_PLACES
