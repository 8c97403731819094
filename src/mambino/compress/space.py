"""The sizes that a search may choose from, and every combination that fits a budget.

Knows configs and costs, no weights. Start at SearchSpace and candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import product

from mambino.compress.budget import Budget
from mambino.compress.sub import SubConfig, SubSizes, sub_config
from mambino.config import HybridConfig, MambaSpec, MlpSpec
from mambino.errors import InputError

_AT_MOST = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """Allowed sizes an axis; () leaves the axis whole. The names are those of SubSizes."""

    hidden_size: tuple[int, ...] = ()
    mamba_heads: tuple[int, ...] = ()
    mamba_head_dim: tuple[int, ...] = ()
    attention_heads: tuple[int, ...] = ()
    kv_heads: tuple[int, ...] = ()
    intermediate_size: tuple[int, ...] = ()
    num_layers: tuple[int, ...] = ()

    def axes(self) -> dict[str, tuple[int, ...]]:
        """The axes that are searched."""
        named: dict[str, tuple[int, ...]] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: sizes for name, sizes in named.items() if sizes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    sizes: SubSizes
    sub: SubConfig
    cost: float


def candidates(
    parent: HybridConfig,
    space: SearchSpace,
    budget: Budget,
    *,
    depth_order: Sequence[int] | None = None,
    slack: float = 0.1,
) -> list[Candidate]:
    """Every combination that fits the budget and leaves at most a share of slack of it unused, dearest first.

    Where none uses so much, the dearest that fit. What the parent cannot be cut into, or the budget cannot count, is
    left out; so is the same model by another name, where a layer is narrower already than the size asks.
    Raises     InputError if none fits (with the cheapest there is), or if there are too many to list
    """
    axes, found, cheapest = space.axes(), dict[SubConfig, Candidate](), float("inf")
    refused: InputError | None = None
    count = 1
    for allowed in axes.values():
        count *= len(allowed)
    if count > _AT_MOST:
        raise InputError(f"[search] {count} combinations are too many to enumerate; allow fewer sizes")
    for chosen in product(*axes.values()):
        sizes = SubSizes(**dict(zip(axes, chosen, strict=True)))
        try:
            sub = sub_config(parent, sizes, depth_order=depth_order)
            cost = budget.cost(sub.config)
        except InputError as error:
            refused = error
            continue
        cheapest = min(cheapest, cost)
        if cost <= budget.limit:
            found.setdefault(sub, Candidate(sizes=sizes, sub=sub, cost=cost))
    if cheapest == float("inf") and refused is not None:
        raise InputError(f"[search] budget {budget.name}: no combination of these sizes is possible: {refused}")
    if not found:
        raise InputError(
            f"[search] budget {budget.name}: nothing costs at most {budget.limit:.6g}; the cheapest combination costs "
            f"{cheapest:.6g}; allow smaller sizes or a larger budget"
        )
    least = min((1.0 - slack) * budget.limit, max(candidate.cost for candidate in found.values()))
    return sorted((one for one in found.values() if one.cost >= least), key=lambda candidate: -candidate.cost)


def default_space(parent: HybridConfig, *, least: float = 0.4, steps: int = 4) -> SearchSpace:
    """Up to steps sizes an axis from the whole down to a share of least, in multiples that blocks and groups like.

    Query heads, key/value heads and Mamba head channels stay whole: published cuts of them hurt more than they save.
    """
    mamba = [layer for layer in parent.layers if isinstance(layer, MambaSpec)]
    mlp = [layer for layer in parent.layers if isinstance(layer, MlpSpec)]
    groups = max((layer.num_groups for layer in mamba), default=1)
    num_layers = len(parent.layers)
    return SearchSpace(
        hidden_size=_sizes(parent.hidden_size, 32, least, steps),
        mamba_heads=_sizes(max((layer.num_heads for layer in mamba), default=0), groups, least, steps),
        intermediate_size=_sizes(max((layer.intermediate_size for layer in mlp), default=0), 32, least, steps),
        num_layers=_sizes(num_layers, 1, max(least, 0.7), min(steps, 3)),
    )


def _sizes(whole: int, multiple: int, least: float, steps: int) -> tuple[int, ...]:
    if whole == 0:
        return ()
    shares = [1.0 - (1.0 - least) * step / max(1, steps - 1) for step in range(steps)]
    rounded = {max(multiple, round(share * whole / multiple) * multiple) for share in shares}
    return tuple(sorted((size for size in rounded | {whole} if size <= whole), reverse=True))
