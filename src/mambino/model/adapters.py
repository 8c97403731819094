"""Adapters beside the weights, for some rows of a batch only: y += scale * B (A x), whatever else shares the pass.

Nothing of the model is replaced: hooks add to what its layers return, for the length of a pass. posttrain/lora.py is
the form that trains. Start at TorchAdapter and applied.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mambino.errors import Unsupported
from mambino.formats.adapter import Adapter
from mambino.model.hybrid import HybridLM


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TorchFactors:
    """As formats.adapter.Factors: a (R, in), b (out, R)."""

    a: Tensor
    b: Tensor
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TorchAdapter:
    """Factors by the name of the module that they belong to, on the model's device."""

    digest: str
    factors: Mapping[str, TorchFactors]


def torch_adapter(model: HybridLM, adapter: Adapter) -> TorchAdapter:
    """A copy on model's device.

    Raises     FormatError if it does not fit; Unsupported if it changes anything but projections of layers
    """
    adapter.require_fit(model.config)
    factors: dict[str, TorchFactors] = {}
    for own, one in adapter.factors.items():
        name = own.removesuffix(".weight")
        if not name.startswith("layers."):
            raise Unsupported(
                f"[adapter] {own}: only projections of layers are added to at run time; merge this adapter"
            )
        a, b = (torch.from_numpy(np.array(part)).to(model.device) for part in (one.a, one.b))
        factors[name] = TorchFactors(a=a, b=b, scale=one.scale)
    return TorchAdapter(digest=adapter.digest, factors=factors)


@contextmanager
def applied(model: HybridLM, adapters: Sequence[TorchAdapter | None]) -> Iterator[None]:
    """While this lasts, passes of len(adapters) rows add adapters[b] to row b. Mutates model for that long."""
    names = dict.fromkeys(name for one in adapters if one is not None for name in one.factors)
    hooks = []
    try:
        for name in names:
            by_row = [None if one is None else one.factors.get(name) for one in adapters]
            hooks.append(model.get_submodule(name).register_forward_hook(partial(_add, by_row)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _add(by_row: Sequence[TorchFactors | None], module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    """output with each row's addition; rows with the same factors in one product."""
    (x_BTD,) = inputs
    added = output.clone()
    for one in {id(one): one for one in by_row if one is not None}.values():
        rows = torch.tensor([row for row, other in enumerate(by_row) if other is one], device=output.device)
        low = functional.linear(x_BTD[rows].to(one.a.dtype), one.a)
        added[rows] += (one.scale * functional.linear(low, one.b)).to(output.dtype)
    return added
