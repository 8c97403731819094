"""One set of weights learns several sizes; the search finds what fits and says when nothing does."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from compress_models import cuttable_config, strong_model, sub_of
from mambino.compress.budget import Budget, parameters
from mambino.compress.elastic import ElasticLoss, ElasticSettings, distance
from mambino.compress.gates import Decision, gated_weights
from mambino.compress.nested import NestedLM
from mambino.compress.router import Router, RouterSettings, search_with_router
from mambino.compress.space import SearchSpace, candidates, default_space
from mambino.compress.sub import SubConfig, SubSizes
from mambino.compress.trials import promising, try_candidates
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.data import Documents, MixedBatches
from mambino.train.loop import LoopSettings, language_loss, train
from mambino.train.optim import Cosine, Optimizer, OptimSettings
from tiny_models import tiny_hybrid_config

pytestmark = pytest.mark.torch

WHOLE = SubConfig.whole(cuttable_config())
SMALL = sub_of(SubSizes(hidden_size=8, mamba_heads=4, intermediate_size=8))
TINY = sub_of(SubSizes(hidden_size=8, mamba_heads=4, intermediate_size=6))
MIDDLE = sub_of(SubSizes(hidden_size=12, intermediate_size=12))
SPACE = SearchSpace(hidden_size=(16, 12, 8), mamba_heads=(8, 4), intermediate_size=(20, 12, 6), num_layers=(6, 5))
DEPTH_ORDER = (2, 0, 5, 4, 3, 1)
OPTIM = OptimSettings(learning_rate=3e-3, use_muon=False)
QUICK = OptimSettings(learning_rate=1e-2, use_muon=False)


def stream(seed: int = 3) -> MixedBatches:
    rng = np.random.default_rng(seed)
    texts = [(start + np.arange(24)) % 61 for start in rng.integers(61, size=40)]
    return MixedBatches(
        {"x": Documents.of([text.tolist() for text in texts])}, lambda _: {"x": 1.0}, rows=2, row_size=24, seed=0
    )


def budget(share: float) -> Budget:
    return Budget(name=f"{share:.0%}", cost=parameters, limit=share * parameters(cuttable_config()))


def trained(
    model: HybridLM, settings: ElasticSettings, teacher: HybridLM | None, folder: Path, optim: OptimSettings = OPTIM
) -> None:
    train(
        model, Optimizer.for_model(model, optim), Cosine(warmup_steps=2, decay_steps=14), stream(),
        ElasticLoss(settings, teacher), folder=folder, settings=LoopSettings(), progress_to=io.StringIO(),
    )  # fmt: skip


def test_a_teacher_makes_every_size_better(tmp_path: Path) -> None:
    teacher, model = strong_model().float(), strong_model().float()
    settings = ElasticSettings(
        subs=(WHOLE, MIDDLE, SMALL), shares=(1, 1, 2), target_weight=0.0
    )  # fmt: skip
    held_out, nested = [stream(9).batch(0)], NestedLM(model)
    before = [distance(nested, sub, teacher, held_out) for sub in settings.subs]
    trained(model, settings, teacher, tmp_path)
    after = [distance(nested, sub, teacher, held_out) for sub in settings.subs]
    assert before[0] == pytest.approx(0.0, abs=1e-5)
    assert after[1] < 0.8 * before[1]
    assert after[2] < 0.8 * before[2]


def test_without_a_teacher_every_size_learns_the_text(tmp_path: Path) -> None:
    model, batch = HybridLM(cuttable_config(), generator=torch.Generator().manual_seed(0)), stream(9).batch(0)
    settings = ElasticSettings(subs=(WHOLE, MIDDLE, SMALL), shares=(1, 1, 1), sandwich=True)

    def losses() -> list[float]:
        plain = [ElasticSettings(subs=(sub,), shares=(1,), target_weight=1.0) for sub in settings.subs]
        return [float(ElasticLoss(alone)(model, batch, 0).detach()) for alone in plain]

    before = losses()
    trained(model, settings, None, tmp_path, QUICK)
    assert all(new < 0.95 * old for new, old in zip(losses(), before, strict=True)), losses()


def test_without_a_teacher_the_largest_learns_the_text_and_teaches_the_others() -> None:
    model, batch = strong_model(), stream().batch(0)
    settings = ElasticSettings(subs=(WHOLE, SMALL), shares=(1, 1), sandwich=True, target_weight=0.0)
    text = float(language_loss()(model, batch, 0).detach())
    imitation = distance(NestedLM(model), SMALL, model, [batch])
    both = float(ElasticLoss(settings)(model, batch, 0).detach())
    assert both == pytest.approx((text + imitation) / 2, rel=1e-5)


def test_which_size_a_step_trains_follows_from_seed_and_step() -> None:
    settings = ElasticSettings(subs=(WHOLE, MIDDLE, SMALL), shares=(2, 1, 1))
    loss, again = (ElasticLoss(settings, strong_model()) for _ in range(2))
    drawn = [loss.subs_at(step) for step in range(400)]
    assert drawn == [again.subs_at(step) for step in range(400)]
    share = sum(subs == (WHOLE,) for subs in drawn) / 400
    assert share == pytest.approx(0.5, abs=0.1)  # four standard deviations
    sandwich = ElasticLoss(ElasticSettings(subs=(WHOLE, MIDDLE, SMALL), shares=(1, 1, 1), sandwich=True))
    assert sandwich.subs_at(5) == (WHOLE, MIDDLE, SMALL)
    alone = ElasticLoss(settings)
    assert {subs[0] for subs in map(alone.subs_at, range(50))} == {WHOLE}, "without a teacher the whole one teaches"


def test_the_sandwich_is_the_largest_and_the_smallest_in_whatever_order_sizes_come() -> None:
    mixed = ElasticLoss(ElasticSettings(subs=(SMALL, WHOLE, MIDDLE), shares=(3, 1, 2), sandwich=True))
    assert mixed.subs_at(5) == (WHOLE, MIDDLE, SMALL)
    by_share = ElasticLoss(ElasticSettings(subs=(SMALL, WHOLE, MIDDLE), shares=(98, 1, 1)), strong_model())
    assert sum(by_share.subs_at(step) == (SMALL,) for step in range(50)) > 40


def test_what_steps_train_is_known_ahead_with_its_share() -> None:
    for sandwich in (False, True):
        settings = ElasticSettings(subs=(WHOLE, MIDDLE, SMALL, TINY), shares=(2, 1, 1, 4), sandwich=sandwich)
        for teacher in (strong_model(), None):
            loss, seen = ElasticLoss(settings, teacher), Counter[tuple[SubConfig, ...]]()
            seen.update(loss.subs_at(step) for step in range(400))
            kinds = dict(settings.step_kinds(has_teacher=teacher is not None))
            assert seen.keys() == kinds.keys()
            assert sum(kinds.values()) == pytest.approx(1.0)
            for subs, share in kinds.items():
                assert seen[subs] / 400 == pytest.approx(share, abs=0.1)  # four standard deviations


def test_a_teacher_of_another_vocabulary_is_refused_before_compute() -> None:
    foreign = HybridLM(tiny_hybrid_config())
    with pytest.raises(InputError, match="one tokenizer"):
        search_with_router(
            strong_model(), foreign, SPACE, [budget(0.8)], [], depth_order=DEPTH_ORDER, optim=OPTIM
        )  # fmt: skip
    with pytest.raises(InputError, match="one tokenizer"):
        distance(NestedLM(strong_model()), SMALL, foreign, [])


def test_elastic_settings_are_checked() -> None:
    with pytest.raises(InputError, match="one positive share a sub-model"):
        ElasticSettings(subs=(WHOLE,), shares=(1, 2))
    with pytest.raises(InputError, match="expected 0 to 1, got 2"):
        ElasticSettings(subs=(WHOLE,), shares=(1,), target_weight=2)


def test_candidates_fit_the_budget_and_use_it() -> None:
    found = candidates(cuttable_config(), SPACE, budget(0.6), depth_order=DEPTH_ORDER)
    limit = budget(0.6).limit
    assert found
    assert all(0.9 * limit <= candidate.cost <= limit for candidate in found)
    assert all(candidate.cost == candidate.sub.config.num_parameters for candidate in found)
    assert [candidate.cost for candidate in found] == sorted((c.cost for c in found), reverse=True)


def test_a_budget_that_cannot_be_met_is_refused_with_the_cheapest() -> None:
    with pytest.raises(InputError, match=r"the cheapest combination costs \d+; allow smaller sizes or a larger budget"):
        candidates(cuttable_config(), SPACE, budget(0.1))
    with pytest.raises(InputError, match="smallest sizes cost"):
        search_with_router(
            strong_model(), strong_model(), SPACE, [budget(0.1)], [], depth_order=DEPTH_ORDER, optim=OPTIM
        )


def test_promising_are_the_slices_closest_to_the_teacher() -> None:
    model, held_out = strong_model().float(), [stream(9).batch(0)]
    found = candidates(cuttable_config(), SPACE, budget(1.0), depth_order=DEPTH_ORDER, slack=1.0)
    closest = promising(model, strong_model().float(), found, held_out, 3)
    assert closest[0].sub.config == model.config
    assert len(found) > len(closest) == 3
    distances = [distance(NestedLM(model), one.sub, strong_model().float(), held_out) for one in closest]
    assert distances == sorted(distances)


def test_trials_rank_by_distance_after_a_little_distillation() -> None:
    model, batches = strong_model().float(), stream()
    found = candidates(cuttable_config(), SPACE, budget(0.6), depth_order=DEPTH_ORDER)[:2]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trials = try_candidates(
        model, strong_model().float(), found, [batches.batch(step) for step in range(6)], [stream(9).batch(0)],
        optim=OPTIM,
    )  # fmt: skip
    assert [trial.after for trial in trials] == sorted(trial.after for trial in trials)
    assert all(trial.after < trial.before for trial in trials)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("is_uneven", [False, True])
def test_a_router_finds_a_sub_model_for_every_budget(is_uneven: bool) -> None:
    model, batches = strong_model().float(), stream()
    subs = search_with_router(
        model, strong_model().float(), SPACE, [budget(0.8), budget(0.5)], [batches.batch(step) for step in range(6)],
        depth_order=DEPTH_ORDER, optim=OPTIM, settings=RouterSettings(is_uneven=is_uneven),
    )  # fmt: skip
    costs = [parameters(sub.config) for sub in subs]
    assert costs[0] <= budget(0.8).limit
    assert costs[1] <= budget(0.5).limit
    NestedLM(model).logits(subs[1], torch.zeros(1, 4, dtype=torch.long))


def test_gates_change_nothing_but_tell_what_a_part_is_worth() -> None:
    model = strong_model()
    nested, tokens = NestedLM(model), torch.arange(20)[None]
    router = Router(cuttable_config(), SPACE, 1, RouterSettings(is_uneven=True))
    picks = dict.fromkeys(router.decisions, 0)  # the smallest size would be kept with certainty: no slope
    sub = router.sub(picks, DEPTH_ORDER)
    logits = {decision: torch.zeros(len(SPACE.axes()[decision.axis])).double().requires_grad_() for decision in picks}
    chances = {decision: values.softmax(-1) for decision, values in logits.items()}
    gated = gated_weights(nested.weights(sub), sub, router.choices, router.parent, chances, DEPTH_ORDER)
    plain = nested.logits(sub, tokens)
    routed = nested.hidden(sub, tokens, weights=gated) @ nested.head(sub).mT
    assert torch.equal(plain, routed)
    routed.square().sum().backward()
    for decision in picks:
        if decision.layer in (None, *sub.kept) and decision != Decision("mamba_heads", 3):  # that one has only 4 heads
            assert logits[decision].grad is not None, decision
            assert logits[decision].grad.abs().max() > 0, decision
    # A neuron below every size is always kept: it has no say. One between sizes 6 and 12 has.
    name = f"layers.{sub.kept.index(4)}.mixer.down_proj.weight"
    decision = Decision("intermediate_size", 4)
    (slope,) = torch.autograd.grad(
        gated_weights(nested.weights(sub), sub, router.choices, router.parent,
                      {decision: logits[decision].softmax(-1)}, DEPTH_ORDER)[name][0, 3], logits[decision],
    )  # fmt: skip
    assert slope.abs().max() == pytest.approx(0.0, abs=1e-12)


def test_the_default_space_likes_blocks_and_groups() -> None:
    space = default_space(cuttable_config())
    assert all(size % 2 == 0 for size in space.mamba_heads)
    assert max(space.num_layers) == 6
