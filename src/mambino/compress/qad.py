"""Quantisation-aware distillation on the grid of the GGUF file that will be written.

The forward pass uses decode(encode(w)), each tensor in its own type; the gradient goes straight through to w. Exporting
w in the same types writes exactly the integers that were trained. Start at quantised_distillation_loss.
"""

import torch
from torch import Tensor

from mambino.compress.distill import check_teacher, head_of, kl_loss
from mambino.compress.nested import NestedLM
from mambino.compress.sub import SubConfig
from mambino.config import HybridConfig
from mambino.formats.names import rows
from mambino.model.hybrid import HybridLM
from mambino.quant.decode import decode
from mambino.quant.encode import encode
from mambino.quant.plan import QuantPlan
from mambino.quant.types import QuantType
from mambino.train.data import Batch
from mambino.train.loop import LossFunction
from mambino.train.placed import placed


def quantised_distillation_loss(
    teacher: HybridLM, config: HybridConfig, plan: QuantPlan, *, target_weight: float = 0.0
) -> LossFunction:
    """KL(teacher || student on its grid). plan is what export will be given; float32 tensors stay as they are.

    Every step encodes all weights anew (NumPy, one core), so it suits short runs: a few hundred steps recover most.
    Raises     InputError for a plan that does not fit the model
    Pinned by  tests/compress/test_qad.py::test_export_writes_the_integers_that_were_trained
    """
    plan.require_fit({row.own: row.shape for row in rows(config)})
    types = {own: quant_type for own, quant_type in plan.types.items() if quant_type.name != "F32"}
    nested: dict[HybridLM, NestedLM] = {}

    def loss(model: HybridLM, batch: Batch, step: int) -> Tensor:
        check_teacher(teacher.config, model.config)
        whole = SubConfig.whole(model.config)
        runner = nested.setdefault(model, NestedLM(model))
        weights = {name: _straight_through(value, types.get(name)) for name, value in runner.weights(whole).items()}
        place = placed(batch, model)
        with torch.no_grad():
            target = teacher.hidden(place.tokens, resets=place.resets)
        hidden = runner.hidden(whole, place.tokens, resets=place.resets, weights=weights)
        head = weights["embeddings.weight" if model.config.tie_embeddings else "lm_head.weight"]
        return kl_loss(hidden, head, target, head_of(teacher).detach(), place.targets, target_weight=target_weight)

    return loss


def on_grid(values: Tensor, quant_type: QuantType) -> Tensor:
    """decode(encode(values)) of a matrix, in its dtype and on its device."""
    array = values.detach().to(device="cpu", dtype=torch.float32).contiguous().numpy()
    rounded = decode(quant_type, encode(quant_type, array), array.shape[1])
    return torch.from_numpy(rounded).to(device=values.device, dtype=values.dtype)


def _straight_through(values: Tensor, quant_type: QuantType | None) -> Tensor:
    return values if quant_type is None else _Grid.apply(values, quant_type)  # type: ignore[no-untyped-call]


class _Grid(torch.autograd.Function):
    """on_grid forward, the identity backward."""

    @staticmethod
    def forward(ctx: object, values: Tensor, quant_type: QuantType) -> Tensor:
        return on_grid(values, quant_type)

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None
