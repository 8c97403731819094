"""GRPO's loss and gradient against TRL's on the same tensors (its dapo loss: every token weighs the same)."""

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from mambino.posttrain.grpo import GrpoSettings, policy_loss

pytestmark = [pytest.mark.torch, pytest.mark.slow]  # importing TRL takes ten seconds

# The same float64 sums in another order.
TOLERANCE = 1e-12
CAP = 2.0


def _same(value: Tensor, **_: object) -> Tensor:
    return value


def trl_loss(given: dict[str, Tensor], settings: GrpoSettings) -> Tensor:
    """TRL's own method, on a stand-in for its trainer that hands it our log-probabilities."""
    grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer")
    metrics: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    stand_in = SimpleNamespace(
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None,
        importance_sampling_level="token", beta=settings.kl_weight, loss_type="dapo", epsilon_low=settings.clip_low,
        epsilon_high=settings.clip_high, use_vllm=True, vllm_importance_sampling_correction=True,
        _entropy_bonus_enabled=False, current_gradient_accumulation_steps=1, _metrics=metrics,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
        accelerator=SimpleNamespace(gather=_same, reduce=_same, num_processes=1), model=SimpleNamespace(training=True),
        _get_per_token_logps_and_entropies=lambda *_, **__: (given["logp"], torch.zeros_like(given["logp"]), None),
    )  # fmt: skip
    mask = given["mask"].double()
    ids = torch.zeros(mask.shape, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1], "prompt_mask": ids[:, :1], "completion_ids": ids, "completion_mask": mask,
        "advantages": given["worth"], "old_per_token_logps": given["old"], "ref_per_token_logps": given["reference"],
        "importance_sampling_ratio": (given["old"] - given["sampler"]).exp().clamp(max=CAP),
        "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    loss: Tensor = grpo_trainer.GRPOTrainer._compute_loss(stand_in, None, inputs)
    return loss


@pytest.mark.parametrize("kl_weight", [0.0, 0.05])
def test_loss_and_gradient_agree_with_trl(kl_weight: float) -> None:
    rng = np.random.default_rng(0)
    shape = (5, 9)
    logp = rng.normal(-1.5, 0.5, shape)
    old = logp + rng.normal(0, 0.3, shape)
    arrays = {
        "logp": logp, "old": old, "sampler": old + rng.normal(0, 0.5, shape),
        "reference": logp + rng.normal(0, 0.4, shape), "worth": rng.normal(0, 1, 5), "mask": rng.random(shape) < 0.7,
    }  # fmt: skip
    given = {name: torch.from_numpy(value) for name, value in arrays.items()}
    settings = GrpoSettings(kl_weight=kl_weight, importance_cap=CAP)
    given["logp"].requires_grad_(True)
    ours = policy_loss(
        given["logp"], given["old"], given["sampler"], given["reference"], given["worth"], given["mask"],
        int(given["mask"].sum()), settings,
    ).loss  # fmt: skip
    (our_gradient,) = torch.autograd.grad(ours, given["logp"])
    theirs = trl_loss(given, settings)
    (their_gradient,) = torch.autograd.grad(theirs, given["logp"])
    assert abs(ours.item() - theirs.item()) < TOLERANCE
    assert float((our_gradient - their_gradient).abs().max()) < TOLERANCE
