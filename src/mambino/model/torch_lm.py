"""TorchLM: a HybridLM behind the contract of lm.py, on any device and in any float dtype.

Training calls HybridLM directly; a TorchLM around the same module sees every update. Start at TorchLM.extend_many.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from weakref import WeakKeyDictionary

import numpy as np
import torch

from mambino.config import HybridConfig
from mambino.errors import FormatError, InputError
from mambino.formats.adapter import Adapter as LowRankAdapter
from mambino.formats.packed_state import pack_state, unpack_state
from mambino.formats.tensor import Tensor
from mambino.lm import (
    Adapter,
    Float32Array,
    Int32Array,
    SequenceState,
    Snapshot,
    check_accept,
    check_draft,
    check_room,
    check_tokens,
)
from mambino.model.adapters import TorchAdapter, applied, torch_adapter
from mambino.model.hybrid import HybridLM
from mambino.model.state import HybridSnapshot, HybridState, slot_shapes
from mambino.model.weights import load_weights

_PASS_TOKENS = 512  # tokens a row and pass; bounds the memory of a long prompt


class TorchLM:
    """The PyTorch implementation of LanguageModel. Logits are float32 whatever the model's dtype."""

    def __init__(self, model: HybridLM) -> None:
        self.model = model
        self._adapters: WeakKeyDictionary[LowRankAdapter, TorchAdapter] = WeakKeyDictionary()

    @classmethod
    def from_tensors(
        cls,
        config: HybridConfig,
        tensors: Mapping[str, Tensor],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> "TorchLM":
        """A model with these weights (own names, "hf" form). device None is the CPU, dtype None is float32.

        Raises     FormatError if names, shapes or values do not fit (see load_weights)
        """
        model = HybridLM(config, device="meta", dtype=dtype or torch.float32)
        load_weights(model, tensors, device=device or "cpu")
        return cls(model.eval().requires_grad_(False))

    @property
    def config(self) -> HybridConfig:
        return self.model.config

    def new_state(self, max_tokens: int, adapter: Adapter | None = None) -> HybridState:
        """An empty state with room for max_tokens. See LanguageModel.new_state."""
        added = None if adapter is None else self._added(adapter)
        return HybridState(self.config, max_tokens, device=self.model.device, dtype=self.model.dtype, adapter=added)

    def extend(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        """Absorb tokens and return the logits after the last one: (T,) -> (V,). See LanguageModel.extend."""
        logits: Float32Array = self.extend_many([state], [tokens])[0]
        return logits

    @torch.inference_mode()
    def extend_many(self, states: Sequence[SequenceState], tokens: Sequence[Int32Array]) -> Float32Array:
        """Extend B distinct states, each by its own tokens: B x (T_b,) -> (B, V). See LanguageModel.extend_many.

        Rows are padded to the longest; padding does not touch a state.
        """
        own_states = self._own(states)
        rows = [check_tokens(row, self.config.vocab_size) for row in tokens]
        if len(rows) != len(own_states) or not rows:
            raise InputError(f"[extend] expected one token array a state, got {len(rows)} for {len(own_states)}")
        for state, row in zip(own_states, rows, strict=True):
            check_room(state, row.size)
        last: list[torch.Tensor | None] = [None] * len(rows)
        for begin in range(0, max(row.size for row in rows), _PASS_TOKENS):
            active = [index for index, row in enumerate(rows) if row.size > begin]
            pieces = [rows[index][begin : begin + _PASS_TOKENS] for index in active]
            lengths = [piece.size for piece in pieces]
            going = [own_states[index] for index in active]
            with self._applied(going):
                h_BTD = self.model.hidden(self._padded(pieces), states=going, lengths=lengths)
            for row_index, (index, length) in enumerate(zip(active, lengths, strict=True)):
                last[index] = h_BTD[row_index, length - 1]
        return _as_float32(self.model.head(torch.stack([h for h in last if h is not None])))

    @torch.inference_mode()
    def score(self, tokens: Int32Array) -> Float32Array:
        """Logits after every token, from an empty state: (T,) -> (T, V); row t predicts token t+1."""
        row = check_tokens(tokens, self.config.vocab_size)
        logits = np.empty((row.size, self.config.vocab_size), dtype=np.float32)
        state = self.new_state(row.size)
        for begin in range(0, row.size, _PASS_TOKENS):
            piece = row[begin : begin + _PASS_TOKENS]
            logits[begin : begin + piece.size] = _as_float32(self.model(self._padded([piece]), states=[state])[0])
        return logits

    @torch.inference_mode()
    def verify(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        """See LanguageModel.verify."""
        (own,) = self._own([state])
        row = check_tokens(tokens, self.config.vocab_size)
        check_draft(own, row.size)
        with self._applied([own]):
            h_BTD = self.model.hidden(self._padded([row]), states=[own], commit=False)
        own.drafted = row
        return _as_float32(self.model.head(h_BTD[0]))

    def accept(self, state: SequenceState, count: int) -> None:
        """See LanguageModel.accept; this backend evaluates the accepted tokens once more."""
        (own,) = self._own([state])
        check_accept(count, own.drafted.size)
        if count:
            self.extend(own, own.drafted[:count])
        own.drafted = own.drafted[:0]

    def pack(self, snapshot: Snapshot) -> bytearray:
        """See LanguageModel.pack. A piece is one tensor."""
        mine = (self.config, self.model.dtype)
        if not isinstance(snapshot, HybridSnapshot) or (snapshot.config, snapshot.dtype) != mine:
            raise InputError("[state] the snapshot is of another model; pack it with its own")
        pieces = [_bytes_of(tensor) for slot in snapshot.slots for tensor in slot]
        return pack_state(self._layout, self.config, snapshot.position, pieces, adapter=snapshot.adapter)

    def unpack(self, data: bytes | bytearray | memoryview) -> HybridSnapshot:
        """See LanguageModel.unpack."""
        unpacked = unpack_state(data, self._layout, self.config)
        shapes = [slot_shapes(layer, unpacked.position, self.model.dtype) for layer in self.config.layers]
        if [len(piece) for piece in unpacked.pieces] != [_nbytes(*one) for slot in shapes for one in slot]:
            raise FormatError(f"[state] these pieces do not hold {unpacked.position} tokens; make the state again")
        pieces = iter(unpacked.pieces)
        slots = tuple(tuple(self._tensor_of(next(pieces), *one) for one in slot) for slot in shapes)
        return HybridSnapshot(
            config=self.config,
            dtype=self.model.dtype,
            position=unpacked.position,
            adapter=unpacked.adapter,
            slots=slots,
        )

    @property
    def _layout(self) -> str:
        return f"torch {self.model.dtype}"

    def _added(self, adapter: Adapter) -> TorchAdapter:
        """adapter on the model's device, where it is put once and lives as long as the value."""
        if not isinstance(adapter, LowRankAdapter):
            raise InputError(f"[adapter] expected an Adapter of mambino.formats, got {type(adapter).__name__}")
        if adapter not in self._adapters:
            self._adapters[adapter] = torch_adapter(self.model, adapter)
        return self._adapters[adapter]

    def _applied(self, states: Sequence[HybridState]) -> AbstractContextManager[None]:
        return applied(self.model, [state.adapter for state in states])

    def _tensor_of(self, piece: memoryview, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        tensor = torch.empty(shape, dtype=dtype)
        if tensor.numel():
            tensor.flatten().view(torch.uint8).numpy()[:] = np.frombuffer(piece, np.uint8)
        return tensor.to(self.model.device)

    def _own(self, states: Sequence[SequenceState]) -> list[HybridState]:
        own: list[HybridState] = []
        for state in states:
            if not isinstance(state, HybridState) or state.config != self.config or state.dtype != self.model.dtype:
                raise InputError("[extend] the state is of another model; get one from new_state of this model")
            if any(state is other for other in own):
                raise InputError("[extend] the same state was given twice; sequences of one call must be distinct")
            own.append(state)
        return own

    def _padded(self, pieces: Sequence[Int32Array]) -> torch.Tensor:
        """(B, T) on the model's device, short rows filled up with token 0."""
        tokens_BT = np.zeros((len(pieces), max(piece.size for piece in pieces)), dtype=np.int64)
        for row, piece in enumerate(pieces):
            tokens_BT[row, : piece.size] = piece
        return torch.from_numpy(tokens_BT).to(self.model.device)


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    return tensor.contiguous().flatten().view(torch.uint8).cpu().numpy().data


def _nbytes(shape: tuple[int, ...], dtype: torch.dtype) -> int:
    return math.prod(shape) * dtype.itemsize


def _as_float32(logits: torch.Tensor) -> Float32Array:
    array: Float32Array = logits.float().cpu().numpy()
    return array
