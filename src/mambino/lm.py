"""The contract between language models and everything that uses one.

A LanguageModel turns token ids into logits; a SequenceState is what it remembers of one sequence. Two
implementations (model/ in PyTorch, engine/ in C++) do not know each other, and nothing above knows which it has.
No tokenizer, no sampling, no text here.

Nine laws, tested for every implementation in tests/contract/:
  split      extending by a then b agrees with extending by a+b, for every cut
  batch      extend_many agrees with the loop over extend
  invariance both agreements are bitwise in the engine, for every weight type and instruction set, so no text depends on
             what else runs or on how a prompt was cut; in PyTorch they hold within a named tolerance of rounding
  snapshot   restore, then extend: bitwise the same as without the detour; so also through pack and unpack
  draft      verify gives the logits of extending one by one (bitwise, where invariance holds) and moves nothing; accept
             then leaves what extending by the accepted tokens would leave
  isolation  two states interleaved: bitwise equal to each alone
  repeat     same input, same threads: bitwise the same
  account    position counts tokens; ContextFull is raised before the state changes
  cost       nbytes equals HybridConfig.state_nbytes
There is no trim: recurrent state cannot be cut back. Go back by restoring a snapshot.
"""

import itertools
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mambino.config import HybridConfig
from mambino.errors import ContextFull, InputError

Int32Array = NDArray[np.int32]
Float32Array = NDArray[np.float32]


Piece = tuple[int, int]
_piece_ids = itertools.count(1 << 62)  # above those of the compiled engine, which counts for itself


class Adapter(Protocol):
    """What is added to a model's weights, for the states that are made with it (formats.adapter.Adapter).

    digest names exactly these values; nbytes is what they take. Equal digests are the same adapter.
    """

    @property
    def digest(self) -> str: ...
    @property
    def nbytes(self) -> int: ...


class Snapshot(Protocol):
    """A frozen copy of a state, all layers; restorable into any state of the same model that is large enough."""

    @property
    def position(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def adapter(self) -> str:
        """Digest of the adapter that the tokens were absorbed with; "" for none."""
        ...

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """(id, nbytes) of each piece of memory; nbytes is their sum.

        Ids are unique for the life of the process. Snapshots of a common beginning may share pieces: equal ids are the
        same memory, so a set of snapshots costs the sum over distinct ids.
        """
        ...


class SequenceState(Protocol):
    """What a model remembers of one sequence: one slot per layer."""

    @property
    def position(self) -> int:
        """Tokens absorbed so far."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens that fit."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes held, all layers; constant over the state's life."""
        ...

    def snapshot(self) -> Snapshot:
        """Freeze the state as it is now.

        Costs the recurrent state plus the keys and values of position tokens, less what it shares with other snapshots.
        """
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Become the snapshot again. Mutates self.

        Raises     InputError if it is another model's, was made with another adapter, or does not fit
        """
        ...


class LanguageModel(Protocol):
    """Token ids in, logits out. V is config.vocab_size."""

    @property
    def config(self) -> HybridConfig: ...

    def new_state(self, max_tokens: int, adapter: Adapter | None = None) -> SequenceState:
        """An empty state with room for max_tokens. adapter is applied to its tokens, and to no other state's.

        States with different adapters, or none, may share a pass.

        Raises     InputError if max_tokens < 1; FormatError if the adapter does not fit this model; Unsupported if it
                   changes weights that only merging can (formats.adapter.merged)
        """
        ...

    def extend(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        """Absorb tokens and return the logits after the last one.

        Shapes     tokens (T,), T >= 1 -> (V,)
        Mutates    state
        Raises     InputError for no tokens or an id outside the vocabulary; ContextFull if they do not fit
        """
        ...

    def extend_many(self, states: Sequence[SequenceState], tokens: Sequence[Int32Array]) -> Float32Array:
        """Extend B distinct states at once, each by its own tokens; one pass over the weights serves all.

        Shapes     tokens B x (T_b,) -> (B, V)
        Mutates    states: all of them, or none if any raises
        """
        ...

    def verify(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        """Logits after each of tokens, as if they followed the state, which does not move; see accept.

        Shapes     tokens (T,), 1 <= T <= 512 -> (T, V)
        Mutates    state: only what accept needs, kept until the state moves and not counted in nbytes
        Raises     as extend, before anything changes
        """
        ...

    def accept(self, state: SequenceState, count: int) -> None:
        """Absorb the first count of the tokens last verified, without evaluating the model again.

        Mutates    state, which then remembers no verified tokens
        Raises     InputError if fewer tokens were verified since the state last moved
        """
        ...

    def score(self, tokens: Int32Array) -> Float32Array:
        """Logits after every token, from an empty state; keeps nothing.

        Shapes     (T,) -> (T, V); row t predicts token t+1
        """
        ...

    def pack(self, snapshot: Snapshot) -> bytes | bytearray:
        """The snapshot as bytes that unpack of the same model and backend understands, in another process too.

        Raises     InputError if it is another model's
        """
        ...

    def unpack(self, data: bytes | bytearray | memoryview) -> Snapshot:
        """The snapshot again, in memory of its own.

        Raises     FormatError for bytes that are damaged, cut short, or of another model, backend or version
        """
        ...


def check_adapter(snapshot: Snapshot, adapter: str) -> None:
    """Raises InputError unless snapshot was made with the adapter of this digest ("" for none)."""
    if snapshot.adapter != adapter:
        made, has = (f"adapter {one[:12]}" if one else "no adapter" for one in (snapshot.adapter, adapter))
        raise InputError(
            f"[state] the snapshot was made with {made}, this state has {has}; read the text again with this one"
        )


MAX_DRAFT = 512  # tokens of one verify


def check_draft(state: SequenceState, num_tokens: int) -> None:
    """Raises InputError for more than MAX_DRAFT tokens, ContextFull if they do not fit into state."""
    if num_tokens > MAX_DRAFT:
        raise InputError(f"[draft] expected at most {MAX_DRAFT} tokens to verify at once, got {num_tokens}")
    check_room(state, num_tokens)


def check_accept(count: int, num_verified: int) -> None:
    """Raises InputError unless 0 <= count <= num_verified."""
    if not 0 <= count <= num_verified:
        raise InputError(
            f"[draft] cannot accept {count} tokens: {num_verified} were verified since the state last moved"
        )


def new_piece_id() -> int:
    """An id for Snapshot.pieces that nothing else in this process has."""
    return next(_piece_ids)


def check_tokens(tokens: Int32Array, vocab_size: int) -> Int32Array:
    """Tokens as a contiguous int32 array of shape (T,), T >= 1, every id in [0, vocab_size).

    Raises     InputError that names the first bad id
    """
    array = np.asarray(tokens)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"[tokens] expected at least one token id in one dimension, got shape {array.shape}")
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"[tokens] expected integers, got {array.dtype}")
    outside = (array < 0) | (array >= vocab_size)
    if outside.any():
        index = int(np.argmax(outside))
        raise InputError(f"[tokens] id {int(array[index])} at position {index} is outside [0, {vocab_size})")
    return np.ascontiguousarray(array, dtype=np.int32)


def check_room(state: SequenceState, num_tokens: int) -> None:
    """Raises ContextFull if num_tokens more do not fit into state."""
    if state.position + num_tokens > state.max_tokens:
        raise ContextFull(
            f"[context] {num_tokens} more tokens do not fit: {state.position} of {state.max_tokens} are used; "
            "shorten the text or open a larger context"
        )
