"""NativeLM: the C++ engine behind the LanguageModel contract.

Arrays in, arrays out: weights are handed over as views (usually of a mapped file), so opening a model copies nothing
large. Knows no files and no tokenizer. Start at NativeLM; what serves a model is in engine/info.py.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np

from mambino import _native
from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec
from mambino.engine.adapters import native_adapter
from mambino.errors import ContextFull, FormatError, InputError, Unsupported
from mambino.formats.adapter import Adapter as LowRankAdapter
from mambino.formats.packed_state import pack_state, unpack_state
from mambino.formats.tensor import Tensor
from mambino.lm import (
    Adapter,
    Float32Array,
    Int32Array,
    Piece,
    SequenceState,
    Snapshot,
    check_adapter,
    check_draft,
    check_tokens,
)
from mambino.quant.encode import encode
from mambino.quant.types import TYPES

Isa = Literal["best", "reference", "avx2", "avx512"]
Activations = Literal["int8", "float32"]
KeyValues = Literal["f16", "q8"]

MAX_THREADS = 256


class NativeSnapshot:
    """A frozen copy of a NativeState, in pieces that snapshots of the same tokens share."""

    __slots__ = ("_adapter", "_handle")

    def __init__(self, handle: _native.Snapshot, adapter: str) -> None:
        self._handle = handle
        self._adapter = adapter

    @property
    def adapter(self) -> str:
        return self._adapter

    @property
    def position(self) -> int:
        return self._handle.position

    @property
    def nbytes(self) -> int:
        return self._handle.nbytes

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(self._handle.pieces)


class NativeState:
    """One sequence's memory, held by the engine: conv and SSM state in float32, keys and values as kv says."""

    __slots__ = ("_adapter", "_handle", "_model")

    def __init__(self, handle: _native.SequenceState, model: "NativeLM", adapter: str) -> None:
        self._handle = handle
        self._model = model
        self._adapter = adapter

    @property
    def position(self) -> int:
        return self._handle.position

    @property
    def max_tokens(self) -> int:
        return self._handle.max_tokens

    @property
    def nbytes(self) -> int:
        return self._handle.nbytes

    def snapshot(self) -> NativeSnapshot:
        return NativeSnapshot(self._handle.snapshot(), self._adapter)

    def restore(self, snapshot: Snapshot) -> None:
        if not isinstance(snapshot, NativeSnapshot):
            raise InputError(f"[state] expected a snapshot of this engine, got {type(snapshot).__name__}")
        check_adapter(snapshot, self._adapter)
        with _translated_errors():
            self._handle.restore(snapshot._handle)


class NativeLM:
    """The engine with one model's weights.

    Shapes     tensors in the "gguf" value form of formats.names, by own name
    Raises     FormatError for a missing tensor, a wrong shape, or a norm, bias or state parameter that is not finite;
               Unsupported for a weight type without kernels; InputError for options out of range
    """

    def __init__(
        self,
        config: HybridConfig,
        tensors: Mapping[str, Tensor],
        *,
        threads: int | None = None,
        isa: Isa = "best",
        activations: Activations = "int8",
        kv: KeyValues = "f16",
    ) -> None:
        """threads: None means all cores it may use. activations: float32 is slow, closest to the definition.

        kv: how keys and values are stored; q8 takes half the memory of f16. activations float32 stores them in float32.
        """
        count = _usable_cores() if threads is None else threads
        if not 1 <= count <= MAX_THREADS:
            raise InputError(f"[engine] threads: expected 1 to {MAX_THREADS}, got {count}")
        if activations not in ("int8", "float32"):
            raise InputError(f"[engine] activations: expected int8 or float32, got {activations!r}")
        if kv not in ("f16", "q8") or (kv != "f16" and activations == "float32"):
            raise InputError(f"[engine] kv: expected f16, or q8 with int8 activations, got {kv!r}")
        self._config = config
        stored = "f32" if activations == "float32" else kv
        self._layout = f"native {stored}"  # of a packed state
        self._adapters: WeakKeyDictionary[LowRankAdapter, _native.Adapter] = WeakKeyDictionary()
        self._arrays: list[object] = []  # what the engine's views point into
        with _translated_errors():
            weights = _Assembly(config, tensors, self._arrays).weights()
            self._engine = _native.Engine(weights, isa, count, activations == "float32", stored)

    @property
    def config(self) -> HybridConfig:
        return self._config

    @property
    def threads(self) -> int:
        return self._engine.threads

    def new_state(self, max_tokens: int, adapter: Adapter | None = None) -> NativeState:
        if max_tokens < 1:
            raise InputError(f"[state] max_tokens: expected at least 1, got {max_tokens}")
        added = None if adapter is None else self._added(adapter)
        with _translated_errors():
            handle = self._engine.new_state(max_tokens, added)
        return NativeState(handle, self, "" if adapter is None else adapter.digest)

    def extend(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        logits: Float32Array = self.extend_many([state], [tokens])[0]
        return logits

    def extend_many(self, states: Sequence[SequenceState], tokens: Sequence[Int32Array]) -> Float32Array:
        if len(states) != len(tokens) or not states:
            raise InputError(
                f"[engine] expected as many states as token arrays, at least one; got {len(states)}, {len(tokens)}"
            )
        if len({id(state) for state in states}) != len(states):
            raise InputError("[engine] one state appears twice in the same call; extend it once with all its tokens")
        handles = [self._handle_of(state) for state in states]
        checked = [check_tokens(one, self._config.vocab_size) for one in tokens]
        logits = np.empty((len(states), self._config.vocab_size), np.float32)
        with _translated_errors():
            self._engine.extend_many(handles, checked, logits)
        return logits

    def score(self, tokens: Int32Array) -> Float32Array:
        checked = check_tokens(tokens, self._config.vocab_size)
        logits = np.empty((checked.size, self._config.vocab_size), np.float32)
        with _translated_errors():
            self._engine.score(checked, logits)
        return logits

    def verify(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        checked = check_tokens(tokens, self._config.vocab_size)
        check_draft(state, checked.size)
        logits = np.empty((checked.size, self._config.vocab_size), np.float32)
        with _translated_errors():
            self._engine.verify(self._handle_of(state), checked, logits)
        return logits

    def accept(self, state: SequenceState, count: int) -> None:
        with _translated_errors():
            self._engine.accept(self._handle_of(state), count)

    def pack(self, snapshot: Snapshot) -> bytearray:
        if not isinstance(snapshot, NativeSnapshot):
            raise InputError(f"[state] expected a snapshot of this engine, got {type(snapshot).__name__}")
        with _translated_errors():
            pieces = [piece.data for piece in self._engine.piece_bytes(snapshot._handle)]
        return pack_state(self._layout, self._config, snapshot.position, pieces, adapter=snapshot.adapter)

    def unpack(self, data: bytes | bytearray | memoryview) -> NativeSnapshot:
        unpacked = unpack_state(data, self._layout, self._config)
        pieces = [np.frombuffer(piece, np.uint8) for piece in unpacked.pieces]
        try:
            return NativeSnapshot(self._engine.snapshot_of(unpacked.position, pieces), unpacked.adapter)
        except _native.NativeError as error:
            raise FormatError(f"{error}; make the state again with this model") from None

    def _added(self, adapter: Adapter) -> _native.Adapter:
        """adapter in the engine's form, which is made once and lives as long as the value."""
        if not isinstance(adapter, LowRankAdapter):
            raise InputError(f"[adapter] expected an Adapter of mambino.formats, got {type(adapter).__name__}")
        if adapter not in self._adapters:
            with _translated_errors():
                self._adapters[adapter] = native_adapter(self._engine, self._config, adapter)
        return self._adapters[adapter]

    def _handle_of(self, state: SequenceState) -> _native.SequenceState:
        if not isinstance(state, NativeState) or state._model is not self:
            raise InputError("[engine] the state belongs to another model; make one with new_state of this model")
        return state._handle


def _usable_cores() -> int:
    """Cores that this process may use, where the system can tell."""
    if sys.platform == "linux":
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)


class _Assembly:
    """Builds the engine's weights from tensors, keeping every array it points into."""

    def __init__(self, config: HybridConfig, tensors: Mapping[str, Tensor], keep: list[object]) -> None:
        self.config = config
        self.tensors = tensors
        self.keep = keep

    def weights(self) -> _native.Weights:
        config = self.config
        embeddings = self._matrix("embeddings.weight")
        head = embeddings if config.tie_embeddings else self._matrix("lm_head.weight")
        weights = _native.Weights(
            config.hidden_size, config.vocab_size, config.norm_eps, embeddings, head, self._vector("norm_f.weight")
        )
        for index, layer in enumerate(config.layers):
            match layer:
                case MambaSpec():
                    self._add_mamba(weights, index, layer)
                case AttentionSpec():
                    self._add_attention(weights, index, layer)
                case MlpSpec():
                    self._add_mlp(weights, index, layer)
        return weights

    def _add_mamba(self, weights: _native.Weights, index: int, spec: MambaSpec) -> None:
        mixer = f"layers.{index}.mixer."
        weights.add_mamba(
            norm=self._vector(f"layers.{index}.norm.weight"),
            heads=spec.num_heads,
            head_dim=spec.head_dim,
            state_size=spec.state_size,
            groups=spec.num_groups,
            conv_width=spec.conv_kernel,
            dt_low=spec.time_step_limit[0],
            dt_high=spec.time_step_limit[1],
            in_proj=self._matrix(mixer + "in_proj.weight"),
            out_proj=self._matrix(mixer + "out_proj.weight"),
            conv_weight=self._vector(mixer + "conv1d.weight"),
            conv_bias=self._vector(mixer + "conv1d.bias"),
            a=self._vector(mixer + "A_log"),
            d=self._vector(mixer + "D"),
            dt_bias=self._vector(mixer + "dt_bias"),
            gate_norm=self._vector(mixer + "norm.weight"),
        )

    def _add_attention(self, weights: _native.Weights, index: int, spec: AttentionSpec) -> None:
        mixer = f"layers.{index}.mixer."
        weights.add_attention(
            norm=self._vector(f"layers.{index}.norm.weight"),
            heads=spec.num_heads,
            kv_heads=spec.num_kv_heads,
            head_dim=spec.head_dim,
            rope_theta=spec.rope_theta or 0.0,
            q=self._matrix(mixer + "q_proj.weight"),
            k=self._matrix(mixer + "k_proj.weight"),
            v=self._matrix(mixer + "v_proj.weight"),
            out=self._matrix(mixer + "o_proj.weight"),
        )

    def _add_mlp(self, weights: _native.Weights, index: int, spec: MlpSpec) -> None:
        mixer = f"layers.{index}.mixer."
        weights.add_mlp(
            norm=self._vector(f"layers.{index}.norm.weight"),
            up=self._matrix(mixer + "up_proj.weight"),
            down=self._matrix(mixer + "down_proj.weight"),
            gate=self._matrix(mixer + "gate_proj.weight") if spec.activation == "swiglu" else None,
        )

    def _tensor(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise FormatError(f"[engine] tensor {name} is missing; fetch or export the model again")
        return self.tensors[name]

    def _vector(self, name: str) -> Float32Array:
        """A small tensor as a flat float32 array: a view where the file holds aligned float32."""
        tensor = self._tensor(name)
        tensor.require_finite()
        values = np.ascontiguousarray(tensor.to_float32().reshape(-1))
        self.keep.append(values)
        return values

    def _matrix(self, name: str) -> _native.Matrix:
        tensor = self._tensor(name)
        kind, data = tensor.type.name, tensor.data
        if tensor.scale is not None:  # 8-bit float with a scale: the engine has no such kernels, so round to BF16 once
            kind, data = (
                "BF16",
                encode(TYPES["BF16"], tensor.to_float32().reshape(tensor.rows, tensor.cols)).reshape(-1),
            )
        if kind not in _native.weight_types():
            raise Unsupported(
                f"[engine] tensor {name}: no kernels for weights of type {kind}; use backend='torch' or one of "
                f"{', '.join(_native.weight_types())}"
            )
        self.keep.append(data)
        return _native.Matrix(kind, tensor.rows, tensor.cols, data)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """The engine's exceptions as mambino's."""
    try:
        yield
    except _native.NativeContextFull as error:
        raise ContextFull(str(error)) from None
    except _native.NativeError as error:
        raise (FormatError if "[weights]" in str(error) else InputError)(str(error)) from None
