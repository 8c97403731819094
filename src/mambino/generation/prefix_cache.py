"""Snapshots of states by the text that they stand for, shared by conversations, under a cap of bytes.

A recurrent state cannot be cut back, so a conversation goes on from the longest remembered beginning of its text.
Text is opaque here; with it come the exact ids that were absorbed, so nothing is encoded twice. Start at SnapshotTree.
"""

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from mambino.errors import InputError
from mambino.lm import Snapshot

Key = tuple[int, bytes]  # length of the text, digest of the text
_BYTES_PER_ID = 8  # of an id in a tuple; small ints are shared


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A snapshot, the text that it stands for, and the ids that it absorbed."""

    text: str
    ids: tuple[int, ...]
    snapshot: Snapshot

    @property
    def key(self) -> Key:
        return len(self.text), digest_of(self.text)


def digest_of(text: str) -> bytes:
    """What a place is found by, in memory and on disk."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def beginnings(text: str, lengths: Iterable[int]) -> list[Key]:
    """The keys of the beginnings of text of these lengths, shortest first, in one pass over text."""
    running = blake2b(digest_size=16)
    keys: list[Key] = []
    end = 0
    for length in sorted({length for length in lengths if length <= len(text)}):
        running.update(text[end:length].encode("utf-8", "surrogatepass"))
        keys.append((length, running.digest()))
        end = length
    return keys


class SnapshotTree:
    """Places, the least recently used dropped first; pinned ones never. Safe to share between threads.

    Memory that several snapshots share (Snapshot.pieces) is counted once.
    """

    def __init__(self, max_nbytes: int) -> None:
        """max_nbytes: the cap; 0 remembers nothing."""
        if max_nbytes < 0:
            raise InputError(f"[cache] max_nbytes: expected 0 or more, got {max_nbytes}")
        self.max_nbytes = max_nbytes
        self._places: OrderedDict[Key, Place] = OrderedDict()  # least recently used first
        self._pinned: set[Key] = set()
        self._uses: Counter[int] = Counter()  # piece -> places that hold it
        self._nbytes = 0
        self._lock = threading.RLock()

    @property
    def nbytes(self) -> int:
        """Bytes held: snapshots, texts and ids."""
        return self._nbytes

    def __len__(self) -> int:
        return len(self._places)

    def put(self, place: Place, *, pinned: bool = False) -> bool:
        """Remember place, at the cost of older ones; whether it fitted under the cap. Mutates self."""
        with self._lock:
            key = place.key
            if key in self._places:
                self._places.move_to_end(key)
            elif not self._make_room(place):
                return False
            else:
                self._add(key, place)
            if pinned:
                self._pinned.add(key)
            return True

    def touch(self, text: str) -> bool:
        """Whether text itself is remembered; it then counts as used. Mutates self."""
        with self._lock:
            key = (len(text), digest_of(text))
            if key in self._places:
                self._places.move_to_end(key)
            return key in self._places

    def best(self, text: str, may_begin: Callable[[Place], bool] = lambda place: True) -> Place | None:
        """The longest place that is a proper beginning of text; it then counts as used. Mutates self.

        may_begin can refuse a place, for one that is shorter.
        """
        with self._lock:
            lengths = {length for length, _ in self._places if length < len(text)}
            for key in reversed(beginnings(text, lengths)):
                place = self._places.get(key)
                if place is not None and may_begin(place):
                    self._places.move_to_end(key)
                    return place
            return None

    def nearest(self, text: str) -> str:
        """The remembered text that agrees with text for longest; "" without any."""
        with self._lock:
            texts = [place.text for place in reversed(self._places.values())]
        return max(texts, key=lambda known: common_length(known, text), default="")

    def unpin(self, text: str) -> None:
        """Let the place of text be dropped like any other. Mutates self."""
        with self._lock:
            self._pinned.discard((len(text), digest_of(text)))

    def clear(self) -> None:
        """Forget everything, pinned places too. Mutates self."""
        with self._lock:
            self._pinned.clear()
            while self._places:
                self._drop(next(iter(self._places)))

    def _make_room(self, place: Place) -> bool:
        """Drop the oldest until place fits; False, with nothing dropped, if it never can."""
        if _together_nbytes([*(self._places[key] for key in self._pinned), place]) > self.max_nbytes:
            return False
        while self._nbytes + self._added_nbytes(place) > self.max_nbytes:
            self._drop(next(key for key in self._places if key not in self._pinned))
        return True

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
