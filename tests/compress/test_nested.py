"""A sliced sub-model is the masked full model, on every axis, in every way of running it."""

import pytest
import torch

from compress.masked_model import mask_model
from compress_models import EVERYTHING, ONE_AXIS_EACH, cuttable_config, some_tokens, strong_model, sub_of
from mambino.compress.nested import NestedLM
from mambino.compress.sub import SubConfig, SubSizes
from mambino.model.state import HybridState

pytestmark = pytest.mark.torch

FLOAT64_TOLERANCE = 1e-9  # what the project promises; rounding is a thousandth of it
CASES = {**ONE_AXIS_EACH, "everything": EVERYTHING}


@pytest.fixture(params=list(CASES))
def sizes(request: pytest.FixtureRequest) -> SubSizes:
    return CASES[request.param]


@torch.no_grad()
def test_the_masked_full_model_is_the_sliced_small_one(sizes: SubSizes) -> None:
    nested, masked, sub, tokens = NestedLM(strong_model()), strong_model(), sub_of(sizes), some_tokens(70)
    mask_model(masked, sub)
    resets = torch.zeros(2, 70, dtype=torch.bool)
    resets[1, [5, 40]] = True
    expected = masked(tokens, resets=resets)
    assert (nested.logits(sub, tokens, resets=resets) - expected).abs().max() < FLOAT64_TOLERANCE
    assert (nested.extracted(sub)(tokens, resets=resets) - expected).abs().max() < FLOAT64_TOLERANCE
    assert (strong_model()(tokens, resets=resets) - expected).abs().max() > 1e-2, "the cut must show"


@torch.no_grad()
def test_step_by_step_too(sizes: SubSizes) -> None:
    nested, masked, sub, tokens = NestedLM(strong_model()), strong_model(), sub_of(sizes), some_tokens(12, rows=1)
    mask_model(masked, sub)
    state = HybridState(sub.config, 12, device=torch.device("cpu"), dtype=torch.float64)
    pieces = [nested.logits(sub, piece, states=[state]) for piece in tokens.split([7, 1, 1, 1, 1, 1], dim=1)]
    assert (torch.cat(pieces, dim=1) - masked(tokens)).abs().max() < FLOAT64_TOLERANCE


def test_gradients_reach_the_shared_weights_that_the_sub_model_has_and_no_other() -> None:
    model, sub = strong_model(), sub_of(EVERYTHING)
    nested = NestedLM(model)
    nested.logits(sub, some_tokens(9)).logsumexp(-1).sum().backward()
    alone = nested.extracted(sub)
    alone(some_tokens(9)).logsumexp(-1).sum().backward()
    ffn = model.layers[4].mixer.up_proj.weight.grad
    own = alone.layers[sub.kept.index(4)].mixer.up_proj.weight.grad
    assert torch.allclose(ffn[:9, :11], own, atol=FLOAT64_TOLERANCE)
    assert not ffn[9:].any()
    assert not ffn[:, 11:].any()
    assert all(parameter.grad is None for parameter in model.layers[1].parameters()), "layer 1 is dropped"


def test_recomputing_keeps_less_and_changes_no_gradient() -> None:
    gradients, kept = [], []
    for recompute in (False, True):
        model, sub, sizes = strong_model(), sub_of(EVERYTHING), list[int]()
        model.recompute = recompute

        def keep(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = NestedLM(model).logits(sub, some_tokens(60)).logsumexp(-1).sum()
        loss.backward()
        gradients.append({name: value.grad for name, value in model.named_parameters() if value.grad is not None})
        kept.append(sum(sizes))
    plain, recomputed = gradients
    assert plain.keys() == recomputed.keys()
    assert all(torch.equal(recomputed[name], gradient) for name, gradient in plain.items())
    assert kept[1] < 0.5 * kept[0]


@torch.no_grad()
def test_the_whole_model_is_its_own_sub_model() -> None:
    model, tokens = strong_model(), some_tokens(20)
    assert torch.equal(NestedLM(model).logits(SubConfig.whole(cuttable_config()), tokens), model(tokens))
