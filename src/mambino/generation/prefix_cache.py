"""Snapshots of states by the text that they stand for, shared by conversations, under a cap of bytes.

A recurrent state cannot be cut back, so a conversation goes on from the longest remembered beginning of its text.
Text is opaque here; with it come the exact ids that were absorbed, so nothing is encoded twice. What was absorbed with
another adapter is another text, whatever it says. A conversation keeps as
many places after fifty turns as after five: see SnapshotTree.put. Start at SnapshotTree.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import Literal

from mambino.errors import InputError
from mambino.lm import Snapshot

Key = tuple[int, bytes]  # length of the text, digest of the text
Keep = Literal["passing", "lasting", "pinned"]
RECENT_PLACES = 3  # passing places at the end of a conversation: its last questions can be asked otherwise at once
REPLAY_TOKENS = 2048  # further back one stays this often: the longest replay after an edit, if the cap allows it
_BYTES_PER_ID = 8  # of an id in a tuple; small ints are shared


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A snapshot, the text that it stands for, and the ids that it absorbed."""

    text: str
    ids: tuple[int, ...]
    snapshot: Snapshot

    @property
    def key(self) -> Key:
        return len(self.text), digest_of(self.text, self.adapter)

    @property
    def adapter(self) -> str:
        """Digest of the adapter that its tokens were absorbed with, "" for none."""
        return self.snapshot.adapter

    def begins(self, text: str, adapter: str) -> bool:
        """Whether text, absorbed with adapter, goes on from here or ends here."""
        return self.adapter == adapter and text.startswith(self.text)


EMPTY_DIGEST = blake2b(digest_size=16)


def extended(digest: blake2b, text: str) -> blake2b:
    """The digest of a text that goes on with text; digest itself stays."""
    longer = digest.copy()
    longer.update(text.encode("utf-8", "surrogatepass"))
    return longer


def digest_of(text: str, adapter: str = "") -> bytes:
    """What a place is found by, in memory and on disk."""
    return extended(_start(adapter), text).digest()


def _start(adapter: str) -> blake2b:
    return extended(EMPTY_DIGEST, f"{adapter}\0") if adapter else EMPTY_DIGEST


def beginnings(text: str, lengths: Iterable[int], adapter: str = "") -> list[Key]:
    """The keys of the beginnings of text of these lengths, shortest first, in one pass over text."""
    running = _start(adapter)
    keys: list[Key] = []
    end = 0
    for length in sorted({length for length in lengths if length <= len(text)}):
        running = extended(running, text[end:length])
        keys.append((length, running.digest()))
        end = length
    return keys


class SnapshotTree:
    """Places, the least recently used dropped first. Safe to share between threads.

    A line is a text with all places that it begins with. Passing places are dropped when their line has left them
    behind (put); lasting ones, which many conversations begin with, count as used whenever such a line is; pinned ones
    are never dropped. Memory that several snapshots share (Snapshot.pieces) is counted once. adapter, wherever it is
    asked for, is the digest of the one that text is to be absorbed with; lines of different adapters never meet.
    """

    def __init__(self, max_nbytes: int) -> None:
        """max_nbytes: the cap; 0 remembers nothing."""
        if max_nbytes < 0:
            raise InputError(f"[cache] max_nbytes: expected 0 or more, got {max_nbytes}")
        self.max_nbytes = max_nbytes
        self._places: OrderedDict[Key, Place] = OrderedDict()  # least recently used first
        self._pinned: set[Key] = set()
        self._lasting: set[Key] = set()
        self._uses: Counter[int] = Counter()  # piece -> places that hold it
        self._nbytes = 0
        self._lock = threading.RLock()

    @property
    def nbytes(self) -> int:
        """Bytes held: snapshots, texts and ids."""
        return self._nbytes

    def __len__(self) -> int:
        return len(self._places)

    def put(self, place: Place, *, keep: Keep = "passing") -> bool:
        """Remember place, at the cost of older ones; whether it fitted under the cap. Mutates self.

        Of the passing places of its line stay: the last RECENT_PLACES, those that another line forks from, and those
        without which more than REPLAY_TOKENS would lie between two.
        """
        with self._lock:
            key = place.key
            if key not in self._places:
                if not self._can_fit(place):
                    return False
                self._thin(place)
                self._make_room(place)
                self._add(key, place)
            if keep == "pinned":
                self._pinned.add(key)
            elif keep == "lasting":
                self._lasting.add(key)
            self._use(place)
            return True

    def touch(self, text: str, adapter: str = "") -> bool:
        """Whether text itself is remembered; it then counts as used. Mutates self."""
        with self._lock:
            place = self._places.get((len(text), digest_of(text, adapter)))
            if place is not None:
                self._use(place)
            return place is not None

    def best(
        self, text: str, may_begin: Callable[[Place], bool] = lambda place: True, adapter: str = ""
    ) -> Place | None:
        """The longest place that is a proper beginning of text; it then counts as used. Mutates self.

        may_begin can refuse a place, for one that is shorter.
        """
        with self._lock:
            lengths = {length for length, _ in self._places if length < len(text)}
            for key in reversed(beginnings(text, lengths, adapter)):
                place = self._places.get(key)
                if place is not None and may_begin(place):
                    self._use(place)
                    return place
            return None

    def nearest(self, text: str, adapter: str = "") -> str:
        """The remembered text that agrees with text for longest; "" without any."""
        with self._lock:
            texts = [place.text for place in reversed(self._places.values()) if place.adapter == adapter]
        return max(texts, key=lambda known: common_length(known, text), default="")

    def forget(self, text: str, beyond: int, adapter: str = "") -> None:
        """Drop the passing places of the line of text that are longer than beyond. Mutates self."""
        with self._lock:
            for place in self._line(text, adapter):
                if len(place.text) > beyond and self._is_passing(place):
                    self._drop(place.key)

    def clear(self) -> None:
        """Forget everything, pinned places too. Mutates self."""
        with self._lock:
            self._pinned.clear()
            while self._places:
                self._drop(next(iter(self._places)))

    def _use(self, place: Place) -> None:
        """Make place the most recently used, but for the lasting ones that it begins with."""
        self._places.move_to_end(place.key)
        for key in self._lasting:
            if self._places[key].begins(place.text, place.adapter):
                self._places.move_to_end(key)

    def _line(self, text: str, adapter: str) -> list[Place]:
        """The places that text begins with, the shortest first."""
        return sorted(
            (place for place in self._places.values() if place.begins(text, adapter)), key=lambda place: len(place.text)
        )

    def _is_passing(self, place: Place) -> bool:
        return place.key not in self._pinned and place.key not in self._lasting

    def _thin(self, newest: Place) -> None:
        """Drop what the line of newest leaves behind."""
        line = self._line(newest.text, newest.adapter)
        others = [place for place in self._places.values() if not place.begins(newest.text, newest.adapter)]
        older = max(0, len(line) + 1 - RECENT_PLACES)
        start = 0  # tokens of the last place that stays
        for place, following in pairwise(line[: older + 1]):
            is_fork = any(
                place.begins(other.text, other.adapter) and not following.begins(other.text, other.adapter)
                for other in others
            )
            is_needed = is_fork or len(following.ids) - start > REPLAY_TOKENS
            if is_needed or not self._is_passing(place):
                start = len(place.ids)
            else:
                self._drop(place.key)

    def _can_fit(self, place: Place) -> bool:
        """Whether place fits beside the pinned ones."""
        return _together_nbytes([*(self._places[key] for key in self._pinned), place]) <= self.max_nbytes

    def _make_room(self, place: Place) -> None:
        """Drop the oldest until place, which can fit, does."""
        while self._nbytes + self._added_nbytes(place) > self.max_nbytes:
            self._drop(next(key for key in self._places if key not in self._pinned))

    def _added_nbytes(self, place: Place) -> int:
        fresh = {piece: nbytes for piece, nbytes in place.snapshot.pieces if not self._uses[piece]}
        return sum(fresh.values()) + _text_nbytes(place)

    def _add(self, key: Key, place: Place) -> None:
        self._nbytes += self._added_nbytes(place)
        self._places[key] = place
        self._uses.update({piece for piece, _ in place.snapshot.pieces})

    def _drop(self, key: Key) -> None:
        place = self._places.pop(key)
        self._pinned.discard(key)
        self._lasting.discard(key)
        self._uses.subtract({piece for piece, _ in place.snapshot.pieces})
        self._uses = +self._uses
        self._nbytes -= self._added_nbytes(place)


def _together_nbytes(places: Sequence[Place]) -> int:
    """Bytes of places alone, memory that they share counted once."""
    pieces = {piece: nbytes for place in places for piece, nbytes in place.snapshot.pieces}
    return sum(pieces.values()) + sum(_text_nbytes(place) for place in places)


def _text_nbytes(place: Place) -> int:
    return len(place.text) + _BYTES_PER_ID * len(place.ids)


def common_length(one: str, other: str) -> int:
    """Characters that two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
