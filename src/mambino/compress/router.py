"""A router that learns which sizes to keep, together with the weights that must live with them.

One small network an axis turns a budget into a choice; gradients reach it through gates that are 1 in value. Start at
Router and search_with_router.

Source: Nemotron Elastic, arXiv:2511.16664, section 3 (router code was never published)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mambino.compress.budget import Budget
from mambino.compress.distill import check_teacher, head_of, kl_loss
from mambino.compress.gates import Decision, gated_weights
from mambino.compress.nested import NestedLM
from mambino.compress.space import SearchSpace
from mambino.compress.sub import SubConfig, SubSizes, uneven_sub
from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.data import Batch
from mambino.train.optim import Optimizer, OptimSettings
from mambino.train.placed import placed

_WIDTH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterSettings:
    """Published settings: temperature and logit scale run linearly from the first to the second value."""

    learning_rate: float = 1e-2
    temperature: tuple[float, float] = (1.0, 0.05)
    logit_scale: tuple[float, float] = (1.0, 10.0)
    cost_weight: float = 1.0
    is_uneven: bool = False  # one choice a layer, not one for all; hidden size and depth are always one
    seed: int = 0


class Router(nn.Module):
    """Budget index -> logits over the sizes of every axis."""

    def __init__(self, parent: HybridConfig, space: SearchSpace, num_budgets: int, settings: RouterSettings) -> None:
        super().__init__()
        self.parent, self.choices, self.num_budgets = parent, space.axes(), num_budgets
        if not self.choices:
            raise InputError("[router] the search space has no axis to choose on")
        self.decisions = [
            Decision(axis, layer)
            for axis in self.choices
            for layer in (_layers_with(axis, parent) if settings.is_uneven else [None])
        ]
        generator = torch.Generator().manual_seed(settings.seed)
        self.networks = nn.ModuleDict()
        for axis, sizes in self.choices.items():
            count = sum(decision.axis == axis for decision in self.decisions)
            self.networks[axis] = nn.Sequential(
                nn.Linear(num_budgets, _WIDTH), nn.LeakyReLU(0.1), nn.Linear(_WIDTH, count * len(sizes))
            )
            for parameter in self.networks[axis].parameters():
                nn.init.normal_(parameter, std=0.02, generator=generator)

    def logits(self, budget: int) -> dict[Decision, Tensor]:
        one_hot = functional.one_hot(torch.tensor(budget), self.num_budgets).float()
        found: dict[Decision, Tensor] = {}
        for axis, sizes in self.choices.items():
            of_axis = [decision for decision in self.decisions if decision.axis == axis]
            found |= dict(zip(of_axis, self.networks[axis](one_hot).view(-1, len(sizes)), strict=True))
        return found

    def sub(self, picks: Mapping[Decision, int], depth_order: Sequence[int]) -> SubConfig:
        """The sub-model of one pick a decision."""
        sizes = {(d.axis, d.layer): self.choices[d.axis][pick] for d, pick in picks.items()}
        count = sizes.get(("num_layers", None), len(self.parent.layers))
        per_layer = {
            index: SubSizes(**{axis: size for (axis, layer), size in sizes.items()
                               if layer in (None, index) and axis not in ("hidden_size", "num_layers")})
            for index in depth_order[:count]
        }  # fmt: skip
        return uneven_sub(self.parent, per_layer, hidden_size=sizes.get(("hidden_size", None)))


def _layers_with(axis: str, parent: HybridConfig) -> list[int | None]:
    kinds: dict[str, type[LayerSpec]] = {
        "mamba_heads": MambaSpec, "mamba_head_dim": MambaSpec, "attention_heads": AttentionSpec,
        "kv_heads": AttentionSpec, "intermediate_size": MlpSpec,
    }  # fmt: skip
    if axis not in kinds:
        return [None]
    return [index for index, layer in enumerate(parent.layers) if isinstance(layer, kinds[axis])]


def search_with_router(
    model: HybridLM,
    teacher: HybridLM,
    space: SearchSpace,
    budgets: Sequence[Budget],
    batches: Sequence[Batch],
    *,
    depth_order: Sequence[int],
    optim: OptimSettings,
    settings: RouterSettings | None = None,
    on_progress: Callable[[int, float], None] = lambda step, loss: None,
) -> list[SubConfig]:
    """Train router and weights together, one step a batch; a sub-model for every budget, each within it.

    Mutates    model: it learns to live with the cuts
    Raises     InputError if not even the smallest sizes fit a budget, or for a teacher of another vocabulary
    """
    check_teacher(teacher.config, model.config)
    settings = settings or RouterSettings()
    router = Router(model.config, space, len(budgets), settings)
    for budget in budgets:
        _smallest(router, depth_order, budget)
    nested, weights = NestedLM(model), Optimizer.for_model(model, optim)
    router_optimizer = torch.optim.AdamW(router.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    noise = torch.Generator().manual_seed(settings.seed)
    for step, batch in enumerate(batches):
        share = step / max(1, len(batches) - 1)
        index = int(torch.randint(len(budgets), (), generator=noise))
        chances = _sampled(router.logits(index), share, settings, noise)
        picks = {decision: int(chance.argmax()) for decision, chance in chances.items()}
        loss = _imitation(nested, teacher, router, picks, chances, depth_order, batch)
        missed = _cost(router, picks, chances, depth_order, budgets[index]) / budgets[index].limit - 1.0
        (loss + settings.cost_weight * missed.abs()).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        weights.step(1.0)
        router_optimizer.step()
        router_optimizer.zero_grad(set_to_none=True)
        on_progress(step + 1, float(loss.detach()))
    return [_fitted(router, index, budget, depth_order) for index, budget in enumerate(budgets)]


def _sampled(
    logits: Mapping[Decision, Tensor], share: float, settings: RouterSettings, noise: torch.Generator
) -> dict[Decision, Tensor]:
    """softmax((scale * logits + Gumbel noise) / temperature), annealed by the share of steps done."""
    temperature, scale = (start + share * (end - start) for start, end in (settings.temperature, settings.logit_scale))
    sampled = {}
    for decision, values in logits.items():
        uniform = torch.rand(values.shape, generator=noise).clamp(1e-9, 1.0 - 1e-7)
        sampled[decision] = ((scale * values - torch.log(-torch.log(uniform))) / temperature).softmax(dim=-1)
    return sampled


def _imitation(
    nested: NestedLM,
    teacher: HybridLM,
    router: Router,
    picks: Mapping[Decision, int],
    chances: Mapping[Decision, Tensor],
    depth_order: Sequence[int],
    batch: Batch,
) -> Tensor:
    """KL to the teacher of the sampled sub-model, its kept parts gated by their chance of being kept."""
    sub = router.sub(picks, depth_order)
    place = placed(batch, teacher)
    gated = gated_weights(nested.weights(sub), sub, router.choices, router.parent, chances, depth_order)
    hidden = nested.hidden(sub, place.tokens, resets=place.resets, weights=gated)
    with torch.no_grad():
        target = teacher.hidden(place.tokens, resets=place.resets)
    return kl_loss(hidden, nested.head(sub), target, head_of(teacher).detach(), place.targets)


def _cost(
    router: Router,
    picks: Mapping[Decision, int],
    chances: Mapping[Decision, Tensor],
    depth_order: Sequence[int],
    budget: Budget,
) -> Tensor:
    """The exact cost of the picks, with the gradient of the expected cost along each decision alone."""
    exact = budget.cost(router.sub(picks, depth_order).config)
    total = torch.tensor(exact)
    for decision, chance in chances.items():
        costs = [
            budget.cost(router.sub({**picks, decision: other}, depth_order).config) for other in range(len(chance))
        ]
        expected = chance @ torch.tensor(costs, dtype=chance.dtype)
        total = total + expected - expected.detach()
    return total


def _smallest(router: Router, depth_order: Sequence[int], budget: Budget) -> dict[Decision, int]:
    picks = {d: router.choices[d.axis].index(min(router.choices[d.axis])) for d in router.decisions}
    cost = budget.cost(router.sub(picks, depth_order).config)
    if cost > budget.limit:
        raise InputError(
            f"[router] budget {budget.name}: the smallest sizes cost {cost:.6g}, the budget is {budget.limit:.6g}; "
            "allow smaller sizes or a larger budget"
        )
    return picks


@torch.no_grad()
def _fitted(router: Router, index: int, budget: Budget, depth_order: Sequence[int]) -> SubConfig:
    """The likeliest picks, made smaller where that is least unlikely a unit of cost, until they fit."""
    chances = {decision: logits.log_softmax(dim=-1) for decision, logits in router.logits(index).items()}
    picks = {decision: int(chance.argmax()) for decision, chance in chances.items()}
    while (cost := budget.cost(router.sub(picks, depth_order).config)) > budget.limit:
        steps = []
        for decision, pick in picks.items():
            for other in range(len(chances[decision])):
                saved = cost - budget.cost(router.sub({**picks, decision: other}, depth_order).config)
                if saved > 0:
                    loss = float(chances[decision][pick] - chances[decision][other])
                    steps.append((loss / saved, decision.axis, decision.layer or 0, decision, other))
        if not steps:
            picks = _smallest(router, depth_order, budget)
            break
        best = min(steps, key=lambda step: step[:3])
        picks[best[3]] = best[4]
    return router.sub(picks, depth_order)
