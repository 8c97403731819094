"""The whole model as one nn.Module: embeddings, blocks of norm + mixer + residual, final norm, head.

Training calls HybridLM directly; everything else goes through torch_lm.TorchLM. state_dict() uses the project's own
tensor names (formats.names). Start at HybridLM.forward.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec
from mambino.errors import InputError
from mambino.model.attention import Attention
from mambino.model.mamba2 import Mamba2
from mambino.model.mlp import Mlp
from mambino.model.norm import RMSNorm
from mambino.model.span import Span
from mambino.model.state import HybridState, Slot

# Letters: B batch, T tokens, D model width, V vocabulary.

_INIT_STD = 0.02
_RESIDUAL_OUTPUTS = ("out_proj.weight", "o_proj.weight", "down_proj.weight")


class Block(nn.Module):
    """h + mixer(norm(h)): one layer, one mixer."""

    def __init__(
        self, config: HybridConfig, spec: LayerSpec, *, device: torch.device | None, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.norm = RMSNorm(config.hidden_size, config.norm_eps, device=device, dtype=dtype)
        self.mixer: Mamba2 | Attention | Mlp
        if isinstance(spec, MambaSpec):
            self.mixer = Mamba2(config.hidden_size, spec, config.norm_eps, device=device, dtype=dtype)
        elif isinstance(spec, AttentionSpec):
            self.mixer = Attention(config.hidden_size, spec, device=device, dtype=dtype)
        else:
            self.mixer = Mlp(config.hidden_size, spec, device=device, dtype=dtype)

    def forward(self, h_BTD: Tensor, span: Span, slots: Sequence[Slot] = ()) -> Tensor:
        normed = self.norm(h_BTD)
        mixed: Tensor = self.mixer(normed) if isinstance(self.mixer, Mlp) else self.mixer(normed, span, slots)
        return h_BTD + mixed


class HybridLM(nn.Module):
    """Token ids to logits for any list of layer specs.

    Matrices are held in dtype; norms, conv and per-head parameters in float32 (float64 if dtype is).
    recompute = True makes training keep only what passes between layers, and compute the rest a second time.
    """

    recompute = False

    def __init__(
        self,
        config: HybridConfig,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        device = None if device is None else torch.device(device)
        self.config = config
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size, device=device, dtype=dtype)
        self.layers = nn.ModuleList(Block(config, spec, device=device, dtype=dtype) for spec in config.layers)
        self.norm_f = RMSNorm(config.hidden_size, config.norm_eps, device=device, dtype=dtype)
        if not config.tie_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False, device=device, dtype=dtype)
        self.reset_parameters(generator)

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Fresh weights: matrices N(0, 0.02), those that write into the residual divided by sqrt(num layers)."""
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=_INIT_STD, generator=generator)
            if name.endswith(_RESIDUAL_OUTPUTS):
                parameter.div_(math.sqrt(len(self.config.layers)))
        for block in self.layers:
            if isinstance(block.mixer, Mamba2):
                block.mixer.reset_parameters(generator)

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrices, the residual stream, keys and values."""
        return self.embeddings.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.embeddings.weight.device

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        resets: Tensor | None = None,
        states: Sequence[HybridState] = (),
        lengths: Sequence[int] = (),
    ) -> Tensor:
        """Logits after every token.

        Without states each row starts empty; resets (B, T) marks with true the first token of every packed document.
        With states row b continues states[b] with its first lengths[b] tokens (all T if lengths is not given).

        Shapes     tokens (B, T) integers -> (B, T, V) in the model's dtype
        Mutates    states, once every layer has succeeded
        Raises     InputError for resets together with states
        """
        return self.head(self.hidden(tokens_BT, resets=resets, states=states, lengths=lengths))

    def hidden(
        self,
        tokens_BT: Tensor,
        *,
        resets: Tensor | None = None,
        states: Sequence[HybridState] = (),
        lengths: Sequence[int] = (),
        commit: bool = True,
    ) -> Tensor:
        """What the head reads after every token, (B, T, D): forward without the head. Arguments as in forward.

        commit False leaves states where they are.
        """
        span = self._span(tokens_BT, resets, states, lengths)
        h_BTD: Tensor = self.embeddings(tokens_BT)
        for index, block in enumerate(self.layers):
            if self.recompute and torch.is_grad_enabled() and not states:
                h_BTD = self._recomputed(block, h_BTD, span)
            else:
                h_BTD = block(h_BTD, span, [state.slots[index] for state in states])
        if commit:
            for state, length in zip(states, span.lengths, strict=True):
                state.commit(length)
        normed: Tensor = self.norm_f(h_BTD)
        return normed

    def _recomputed(self, block: nn.Module, h_BTD: Tensor, span: Span) -> Tensor:
        """block(h_BTD, span), of which the backward pass keeps nothing but what came in."""
        out: Tensor = checkpoint(block, h_BTD, span, use_reentrant=False)
        return out

    def head(self, h: Tensor) -> Tensor:
        """Logits of final hidden vectors: (..., D) -> (..., V)."""
        return functional.linear(h, self.embeddings.weight if self.config.tie_embeddings else self.lm_head.weight)

    def _span(
        self, tokens_BT: Tensor, resets: Tensor | None, states: Sequence[HybridState], lengths: Sequence[int]
    ) -> Span:
        if states:
            if resets is not None:
                raise InputError("[model] resets and states exclude each other; packed rows start empty")
            starts = [state.position for state in states]
            return Span.continued(tokens_BT, starts, lengths or len(states) * [tokens_BT.shape[1]])
        if resets is None:
            return Span.fresh(tokens_BT)
        widths = [spec.conv_kernel for spec in self.config.layers if isinstance(spec, MambaSpec)]
        return Span.packed(resets, max_lag=max(widths, default=1) - 1)
