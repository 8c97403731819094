"""A LanguageModel without weights: logits are a function of the ids absorbed. Obeys the nine laws of mambino.lm.

Start at FakeLM; hashed_logits is deterministic noise, scripted_logits says a given reply.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from mambino.config import HybridConfig
from mambino.errors import FormatError, InputError
from mambino.formats.packed_state import pack_state, unpack_state
from mambino.lm import (
    Adapter,
    Float32Array,
    Int32Array,
    Piece,
    SequenceState,
    Snapshot,
    check_accept,
    check_adapter,
    check_draft,
    check_room,
    check_tokens,
    new_piece_id,
)

_PIECE_TOKENS = 256

LogitsAfter = Callable[[tuple[int, ...], int], Float32Array]


def hashed_logits(absorbed: tuple[int, ...], vocab_size: int) -> Float32Array:
    """Noise of deviation 3, decided by every id absorbed and by their order."""
    digest = blake2b(np.asarray(absorbed, dtype="<i8").tobytes(), digest_size=8).digest()
    random = np.random.default_rng(int.from_bytes(digest, "little"))
    return random.normal(0.0, 3.0, vocab_size).astype(np.float32)


def scripted_logits(reply: Sequence[int], prompt_tokens: int) -> LogitsAfter:
    """Logits that make reply all but certain (20 above the rest) after prompt_tokens ids; then id 0 for ever."""

    def logits_after(absorbed: tuple[int, ...], vocab_size: int) -> Float32Array:
        index = len(absorbed) - prompt_tokens
        logits = np.zeros(vocab_size, dtype=np.float32)
        logits[reply[index] if 0 <= index < len(reply) else 0] = 20.0
        return logits

    return logits_after


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeSnapshot:
    """What a FakeState had absorbed."""

    model: "FakeLM"
    absorbed: tuple[int, ...]
    adapter: str = ""
    rest_id: int = field(default_factory=new_piece_id)

    @property
    def position(self) -> int:
        return len(self.absorbed)

    @property
    def nbytes(self) -> int:
        return self.model.config.state_nbytes(self.position)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """As a real engine would share them: one for every 256 tokens of a text, and a rest."""
        ends = range(_PIECE_TOKENS, self.position + 1, _PIECE_TOKENS)
        nbytes = self.model.config.state_nbytes
        block = nbytes(_PIECE_TOKENS) - nbytes(0)
        blocks = [(self.model.piece_id(self.absorbed[:end]), block) for end in ends]
        return (*blocks, (self.rest_id, self.nbytes - len(blocks) * block))


class FakeState:
    """Remembers the ids; claims the bytes that a real state of this size would hold."""

    def __init__(self, model: "FakeLM", max_tokens: int, adapter: str = "") -> None:
        self.model = model
        self.adapter = adapter
        self.absorbed: tuple[int, ...] = ()
        self.drafted: tuple[int, ...] = ()
        self._max_tokens = max_tokens

    @property
    def position(self) -> int:
        return len(self.absorbed)

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def nbytes(self) -> int:
        return self.model.config.state_nbytes(self._max_tokens)

    def snapshot(self) -> FakeSnapshot:
        return FakeSnapshot(model=self.model, absorbed=self.absorbed, adapter=self.adapter)

    def restore(self, snapshot: Snapshot) -> None:
        if not isinstance(snapshot, FakeSnapshot) or snapshot.model is not self.model:
            raise InputError("[state] the snapshot is of another model; restore it into a state of that model")
        check_adapter(snapshot, self.adapter)
        if snapshot.position > self._max_tokens:
            raise InputError(
                f"[state] a snapshot of {snapshot.position} tokens does not fit into {self._max_tokens}; "
                "restore it into a larger state"
            )
        self.absorbed = snapshot.absorbed
        self.drafted = ()


class FakeLM:
    """A language model whose logits are logits_after(ids absorbed, vocab_size)."""

    def __init__(self, config: HybridConfig, logits_after: LogitsAfter = hashed_logits) -> None:
        self._config = config
        self._logits_after = logits_after
        self._piece_ids: dict[tuple[int, ...], int] = {}
        self.calls: list[int] = []  # tokens in each extend, for tests of chunking
        self.verified: list[int] = []  # tokens in each verify

    @property
    def config(self) -> HybridConfig:
        return self._config

    def new_state(self, max_tokens: int, adapter: Adapter | None = None) -> FakeState:
        if max_tokens < 1:
            raise InputError(f"[state] max_tokens: expected at least 1, got {max_tokens}")
        return FakeState(self, max_tokens, "" if adapter is None else adapter.digest)

    def extend(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        own = self._own(state)
        ids = self._checked(own, tokens)
        self.calls.append(len(ids))
        own.absorbed += tuple(ids.tolist())
        own.drafted = ()
        return self._logits(own, own.absorbed)

    def extend_many(self, states: Sequence[SequenceState], tokens: Sequence[Int32Array]) -> Float32Array:
        if not states or len(states) != len(tokens) or len({id(state) for state in states}) != len(states):
            raise InputError("[batch] expected one token array for each of several distinct states")
        for state, ids in zip(states, tokens, strict=True):
            self._checked(self._own(state), ids)
        return np.stack([self.extend(state, ids) for state, ids in zip(states, tokens, strict=True)])

    def verify(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        own = self._own(state)
        ids = check_tokens(tokens, self._config.vocab_size)
        check_draft(own, len(ids))
        self.verified.append(len(ids))
        own.drafted = tuple(ids.tolist())
        ends = range(1, len(ids) + 1)
        return np.stack([self._logits(own, own.absorbed + own.drafted[:end]) for end in ends])

    def accept(self, state: SequenceState, count: int) -> None:
        own = self._own(state)
        check_accept(count, len(own.drafted))
        own.absorbed += own.drafted[:count]
        own.drafted = ()

    def score(self, tokens: Int32Array) -> Float32Array:
        ids = tuple(check_tokens(tokens, self._config.vocab_size).tolist())
        return np.stack([self._logits_after(ids[: end + 1], self._config.vocab_size) for end in range(len(ids))])

    def piece_id(self, absorbed: tuple[int, ...]) -> int:
        """Of the piece that ends where absorbed ends."""
        return self._piece_ids.setdefault(absorbed, new_piece_id())

    def pack(self, snapshot: Snapshot) -> bytearray:
        if not isinstance(snapshot, FakeSnapshot) or snapshot.model is not self:
            raise InputError("[state] the snapshot is of another model; pack it with its own")
        ids = np.asarray(snapshot.absorbed, dtype=np.int32).tobytes()
        return pack_state("fake", self._config, snapshot.position, [ids], adapter=snapshot.adapter)

    def unpack(self, data: bytes | bytearray | memoryview) -> FakeSnapshot:
        unpacked = unpack_state(data, "fake", self._config)
        absorbed = tuple(np.frombuffer(unpacked.pieces[0], np.int32).tolist())
        if len(absorbed) != unpacked.position:
            raise FormatError(f"[state] expected {unpacked.position} packed ids, got {len(absorbed)}")
        return FakeSnapshot(model=self, absorbed=absorbed, adapter=unpacked.adapter)

    def _logits(self, state: FakeState, absorbed: tuple[int, ...]) -> Float32Array:
        """An adapter adds noise of its own."""
        logits = self._logits_after(absorbed, self._config.vocab_size)
        if not state.adapter:
            return logits
        return logits + hashed_logits((int(state.adapter[:12], 16), *absorbed), self._config.vocab_size)

    def _own(self, state: SequenceState) -> FakeState:
        if not isinstance(state, FakeState) or state.model is not self:
            raise InputError("[state] the state is of another model; make one with new_state")
        return state

    def _checked(self, state: FakeState, tokens: Int32Array) -> Int32Array:
        ids = check_tokens(tokens, self._config.vocab_size)
        check_room(state, len(ids))
        return ids
