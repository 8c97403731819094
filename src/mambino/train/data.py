"""Documents as token ids, packed into rows of fixed length with marks where recurrent state starts afresh.

A MixedBatches is an endless, seeded stream whose place is a few integers, so that a resumed run sees the very same
batches. Knows nothing of models. Start at MixedBatches.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mambino.errors import InputError

IGNORED = -1  # a target that no loss counts
_OPEN_ROWS = 64  # rows that still take documents while packing; more waste less and scatter more


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """Tokens (T,), and which of them the model shall learn to write (T,)."""

    tokens: NDArray[np.int32]
    counted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Token ids of N documents end to end; document i is tokens[bounds[i]:bounds[i + 1]].

    counted says which tokens are targets (a user's words need not be).

    Shapes     tokens and counted (sum of lengths,), bounds (N + 1,)
    """

    tokens: NDArray[np.int32]
    bounds: NDArray[np.int64]
    counted: NDArray[np.bool_]

    @classmethod
    def of(cls, documents: Sequence[Sequence[int]]) -> "Documents":
        """Every token counts. Raises InputError for no documents, or an empty one."""
        lengths = [len(document) for document in documents]
        if not lengths or min(lengths) == 0:
            raise InputError(f"[data] expected documents of at least one token, got lengths {lengths[:8]}")
        tokens = np.concatenate([np.asarray(document, dtype=np.int32) for document in documents])
        bounds = np.cumsum([0, *lengths], dtype=np.int64)
        return cls(tokens=tokens, bounds=bounds, counted=np.ones(len(tokens), dtype=np.bool_))

    @classmethod
    def joined(cls, documents: Sequence[Document]) -> "Documents":
        """The documents as they are, each with its own targets. Raises InputError for none, or an empty one."""
        if not documents or min(map(len, documents)) == 0:
            raise InputError(f"[data] expected documents of at least one token, got {len(documents)}")
        return cls(
            tokens=np.concatenate([document.tokens for document in documents]),
            bounds=np.cumsum([0, *map(len, documents)], dtype=np.int64),
            counted=np.concatenate([document.counted for document in documents]),
        )

    def in_pieces(self, size: int) -> "Documents":
        """The same tokens; a document longer than size is several, each a beginning of its own."""
        starts = [np.arange(start, end, size) for start, end in pairwise(self.bounds)]
        return replace(self, bounds=np.concatenate([*starts, self.bounds[-1:]]))

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, index: int) -> Document:
        place = slice(self.bounds[index], self.bounds[index + 1])
        return Document(tokens=self.tokens[place], counted=self.counted[place])

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.tokens.tobytes() + self.bounds.tobytes() + self.counted.tobytes()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """B rows of T tokens.

    tokens_BT   what the model reads
    targets_BT  the token after each, IGNORED where that does not count, at a document's last token and in padding
    resets_BT   true at the first token of every document (and of padding)
    """

    tokens_BT: NDArray[np.int64]
    targets_BT: NDArray[np.int64]
    resets_BT: NDArray[np.bool_]

    @property
    def num_targets(self) -> int:
        return int((self.targets_BT != IGNORED).sum())

    def split(self, count: int) -> "list[Batch]":
        """The rows in up to count parts of about equal size."""
        bounds = np.linspace(0, len(self.tokens_BT), min(count, len(self.tokens_BT)) + 1).round().astype(int)
        return [
            Batch(
                tokens_BT=self.tokens_BT[start:end],
                targets_BT=self.targets_BT[start:end],
                resets_BT=self.resets_BT[start:end],
            )
            for start, end in pairwise(bounds)
        ]


def pack(lengths: Sequence[int], row_size: int) -> list[list[int]]:
    """Rows of whole documents: each goes into the fullest open row that still has room.

    A document longer than a row gets one to itself (and will be cut). Order is kept but for the waiting.
    """
    done: list[list[int]] = []
    open_rows: list[tuple[int, list[int]]] = []  # room left, documents
    for index, length in enumerate(lengths):
        length = min(length, row_size)
        fits = [place for place, (room, _) in enumerate(open_rows) if room >= length]
        if fits:
            place = min(fits, key=lambda candidate: open_rows[candidate][0])
            room, row = open_rows.pop(place)
        else:
            room, row = row_size, []
        row.append(index)
        if room == length:
            done.append(row)
        else:
            open_rows.append((room - length, row))
        if len(open_rows) > _OPEN_ROWS:
            fullest = min(range(len(open_rows)), key=lambda candidate: open_rows[candidate][0])
            done.append(open_rows.pop(fullest)[1])
    return done + [row for _, row in open_rows]


def fill(rows: Sequence[Sequence[Document]], row_size: int) -> Batch:
    """Rows of documents as one batch; what does not fit is cut, what is left is padding of token 0."""
    shape = (len(rows), row_size)
    tokens = np.zeros(shape, dtype=np.int64)
    targets = np.full(shape, IGNORED, dtype=np.int64)
    resets = np.zeros(shape, dtype=np.bool_)
    for place, row in enumerate(rows):
        start = 0
        for document in row:
            end = min(start + len(document), row_size)
            size = end - start
            tokens[place, start:end] = document.tokens[:size]
            targets[place, start : end - 1] = np.where(document.counted, document.tokens, IGNORED)[1:size]
            resets[place, start] = True
            start = end
        if start < row_size:
            resets[place, start] = True
    return Batch(tokens_BT=tokens, targets_BT=targets, resets_BT=resets)


class RowStream:
    """Packed rows of one corpus for ever; every epoch shuffles and packs anew from (seed, epoch)."""

    def __init__(self, documents: Documents, *, row_size: int, seed: int) -> None:
        self._documents, self._row_size, self._seed = documents, row_size, seed
        self.seek(0, 0)

    def seek(self, epoch: int, row: int) -> None:
        """Continue at that row of that epoch. Mutates self."""
        rng = np.random.default_rng((self._seed, epoch))
        order = rng.permutation(len(self._documents))
        lengths = np.diff(self._documents.bounds)[order]
        packed = pack(lengths.tolist(), self._row_size)
        self._rows = [[int(order[place]) for place in packed[row_]] for row_ in rng.permutation(len(packed))]
        self.epoch, self.row = epoch, row

    def next_row(self) -> list[Document]:
        if self.row >= len(self._rows):
            self.seek(self.epoch + 1, 0)
        self.row += 1
        return [self._documents[index] for index in self._rows[self.row - 1]]


class MixedBatches:
    """An endless stream of batches whose rows are drawn from several corpora by weight.

    weights_at(step) names every corpus; it may change over the run (more chat at the end). state and restore carry the
    place in every corpus: a few integers.
    """

    def __init__(
        self,
        corpora: Mapping[str, Documents],
        weights_at: Callable[[int], Mapping[str, float]],
        *,
        rows: int,
        row_size: int,
        seed: int,
    ) -> None:
        if set(weights_at(0)) != set(corpora):
            raise InputError(f"[data] weights name {sorted(weights_at(0))}, corpora are {sorted(corpora)}")
        self._names = sorted(corpora)
        self._streams = {
            name: RowStream(corpora[name], row_size=row_size, seed=seed + place)
            for place, name in enumerate(self._names)
        }
        self._weights_at, self._num_rows, self._row_size, self._seed = weights_at, rows, row_size, seed

    def batch(self, step: int) -> Batch:
        """The next batch; step decides the mixture and its draws. Mutates self."""
        weights = self._weights_at(step)
        shares = np.array([weights[name] for name in self._names])
        picks = np.random.default_rng((self._seed, step, 1)).choice(
            len(self._names), size=self._num_rows, p=shares / shares.sum()
        )
        return fill([self._streams[self._names[pick]].next_row() for pick in picks], self._row_size)

    @property
    def state(self) -> dict[str, tuple[int, int]]:
        """Epoch and row of every corpus."""
        return {name: (stream.epoch, stream.row) for name, stream in self._streams.items()}

    def restore(self, state: Mapping[str, tuple[int, int]]) -> None:
        """Continue where state was taken. Mutates self. Raises InputError if it is of other corpora."""
        if set(state) != set(self._names):
            raise InputError(f"[data] the saved place is for {sorted(state)}, the corpora are {self._names}")
        for name, (epoch, row) in state.items():
            self._streams[name].seek(epoch, row)
