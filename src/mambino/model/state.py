"""What a model remembers of one sequence: one slot per layer, index = layer index.

Knows the config and the shapes, never the maths. Start at HybridState; a slot's new content is staged by its mixer
and committed by the model once every layer has succeeded, so that a failed pass leaves the state as it was.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

import numpy as np
import torch
from torch import Tensor

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import InputError
from mambino.lm import Piece, Snapshot, check_adapter, new_piece_id
from mambino.model.precision import working_dtype

if TYPE_CHECKING:
    from mambino.model.adapters import TorchAdapter

# Letters: W-1 conv history, C conv channels, H heads, P head size, N state size, K kv heads, S tokens, E head size.


class MambaSlot:
    """The last W-1 inputs of the conv and the recurrent state, in the working dtype."""

    def __init__(self, spec: MambaSpec, device: torch.device, dtype: torch.dtype) -> None:
        self.conv_WC = torch.zeros(spec.conv_kernel - 1, spec.conv_size, device=device, dtype=dtype)
        self.ssm_HPN = torch.zeros(spec.num_heads, spec.head_dim, spec.state_size, device=device, dtype=dtype)
        self._staged: tuple[Tensor, Tensor] | None = None

    @property
    def nbytes(self) -> int:
        return self.conv_WC.nbytes + self.ssm_HPN.nbytes

    def stage(self, conv_WC: Tensor, ssm_HPN: Tensor) -> None:
        """Keep the next content aside until commit."""
        self._staged = (conv_WC, ssm_HPN)

    def commit(self) -> None:
        """Mutates the slot: it becomes what was staged."""
        assert self._staged is not None, "the mixer staged nothing"
        conv, ssm = self._staged
        self.conv_WC.copy_(conv)
        self.ssm_HPN.copy_(ssm)
        self._staged = None

    def saved(self, position: int) -> tuple[Tensor, ...]:
        """Copies of the content after position tokens."""
        return self.conv_WC.clone(), self.ssm_HPN.clone()

    def load(self, saved: tuple[Tensor, ...]) -> None:
        """Mutates the slot: it becomes what saved() returned."""
        self.conv_WC.copy_(saved[0])
        self.ssm_HPN.copy_(saved[1])


class AttentionSlot:
    """Keys and values of up to max_tokens tokens, in the model's dtype. What lies beyond position is never read."""

    def __init__(self, spec: AttentionSpec, max_tokens: int, device: torch.device, dtype: torch.dtype) -> None:
        shape = (spec.num_kv_heads, max_tokens, spec.head_dim)
        self.keys_KSE = torch.empty(shape, device=device, dtype=dtype)
        self.values_KSE = torch.empty(shape, device=device, dtype=dtype)

    @property
    def nbytes(self) -> int:
        return self.keys_KSE.nbytes + self.values_KSE.nbytes

    def write(self, start: int, keys_TKE: Tensor, values_TKE: Tensor) -> None:
        """Store the keys and values of tokens start, start+1, ... Invisible until the position moves past them."""
        end = start + keys_TKE.shape[0]
        self.keys_KSE[:, start:end] = keys_TKE.transpose(0, 1)
        self.values_KSE[:, start:end] = values_TKE.transpose(0, 1)

    def commit(self) -> None:
        """Nothing to do: the position decides what is visible."""

    def saved(self, position: int) -> tuple[Tensor, ...]:
        """Copies of the content after position tokens."""
        return self.keys_KSE[:, :position].clone(), self.values_KSE[:, :position].clone()

    def load(self, saved: tuple[Tensor, ...]) -> None:
        """Mutates the slot: it becomes what saved() returned."""
        position = saved[0].shape[1]
        self.keys_KSE[:, :position] = saved[0]
        self.values_KSE[:, :position] = saved[1]


Slot = MambaSlot | AttentionSlot | None  # an MLP remembers nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridSnapshot:
    """A frozen copy of a HybridState; slots[i] are the tensors of layer i, keys and values cut at position."""

    config: HybridConfig
    dtype: torch.dtype
    position: int
    adapter: str = ""
    slots: tuple[tuple[Tensor, ...], ...]  # on any device
    id: int = field(default_factory=new_piece_id)

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for slot in self.slots for tensor in slot)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """One piece: snapshots of this backend share nothing."""
        return ((self.id, self.nbytes),)


def slot_shapes(layer: LayerSpec, position: int, dtype: torch.dtype) -> tuple[tuple[tuple[int, ...], torch.dtype], ...]:
    """Shape and dtype of each tensor of this layer in a HybridSnapshot of a model of dtype."""
    match layer:
        case MambaSpec():
            working = working_dtype(dtype)
            conv, ssm = (layer.conv_kernel - 1, layer.conv_size), (layer.num_heads, layer.head_dim, layer.state_size)
            return (conv, working), (ssm, working)
        case AttentionSpec():
            return 2 * (((layer.num_kv_heads, position, layer.head_dim), dtype),)
        case MlpSpec():
            return ()
        case _:
            assert_never(layer)


class HybridState:
    """One sequence's memory. dtype is the model's: keys and values use it, the recurrent part its working dtype.

    adapter is what the model adds to its weights for this sequence.
    """

    def __init__(
        self,
        config: HybridConfig,
        max_tokens: int,
        *,
        device: torch.device,
        dtype: torch.dtype,
        adapter: "TorchAdapter | None" = None,
    ) -> None:
        if max_tokens < 1:
            raise InputError(f"[state] max_tokens: expected at least 1, got {max_tokens}")
        self.config = config
        self.dtype = dtype
        self.device = device
        self.adapter = adapter
        self.slots = tuple(_new_slot(layer, max_tokens, device, dtype) for layer in config.layers)
        self._max_tokens = max_tokens
        self._position = 0
        self.drafted = np.empty(0, np.int32)  # tokens verified since the state last moved

    @property
    def position(self) -> int:
        return self._position

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def nbytes(self) -> int:
        return sum(slot.nbytes for slot in self.slots if slot is not None)

    def commit(self, num_tokens: int) -> None:
        """Make a finished forward pass permanent. Mutates self."""
        for slot in self.slots:
            if slot is not None:
                slot.commit()
        self._position += num_tokens
        self.drafted = self.drafted[:0]

    @property
    def _digest(self) -> str:
        return "" if self.adapter is None else self.adapter.digest

    def snapshot(self) -> HybridSnapshot:
        """Copy the state; costs the recurrent state plus the keys and values of position tokens."""
        saved = tuple(() if slot is None else slot.saved(self._position) for slot in self.slots)
        return HybridSnapshot(
            config=self.config, dtype=self.dtype, position=self._position, adapter=self._digest, slots=saved
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Become the snapshot again. Mutates self. See SequenceState.restore."""
        if not isinstance(snapshot, HybridSnapshot) or (snapshot.config, snapshot.dtype) != (self.config, self.dtype):
            raise InputError("[state] the snapshot is of another model; restore it into a state of its own model")
        check_adapter(snapshot, self._digest)
        if snapshot.position > self._max_tokens:
            raise InputError(
                f"[state] the snapshot holds {snapshot.position} tokens, this state has room for {self._max_tokens}; "
                "restore it into a larger one"
            )
        for slot, saved in zip(self.slots, snapshot.slots, strict=True):
            if slot is not None:
                slot.load(saved)
        self._position = snapshot.position
        self.drafted = self.drafted[:0]


def _new_slot(layer: LayerSpec, max_tokens: int, device: torch.device, dtype: torch.dtype) -> Slot:
    match layer:
        case MambaSpec():
            return MambaSlot(layer, device, working_dtype(dtype))
        case AttentionSpec():
            return AttentionSlot(layer, max_tokens, device, dtype)
        case MlpSpec():
            return None
        case _:
            assert_never(layer)
