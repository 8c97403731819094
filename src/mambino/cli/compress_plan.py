"""`mambino compress plan`: which sizes fit a budget, and what training them would take. Start at command."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from mambino.cli.compress_options import budget_options, chosen_budgets, open_parent
from mambino.cli.options import debug_option, json_option
from mambino.cli.terminal import human_bytes, human_count
from mambino.compress.budget import Budget, bytes_with
from mambino.compress.space import Candidate, candidates, default_space
from mambino.config import HybridConfig
from mambino.presets import PRESETS

_SHOWN = 8


@click.command()
@click.argument("model")
@budget_options
@click.option("--least", type=click.FloatRange(0.05, 1.0), default=0.4, show_default=True,
              help="Smallest share of an axis to consider.")  # fmt: skip
@click.option("--tokens", type=click.IntRange(1), default=100_000_000, show_default=True, metavar="N",
              help="Training tokens to price.")  # fmt: skip
@json_option
@debug_option
def command(
    model: str, budgets: tuple[str, ...], count: str, mix: str, context: int, latency_table: Path | None,
    least: float, tokens: int, as_json: bool,
) -> None:  # fmt: skip
    """List sizes of MODEL that fit each budget, and the price of teaching them. Nothing is trained.

    MODEL is a file, a folder, a fetched model, or the name of a published size:

    \b
    mambino compress plan big/ --budget 50% --budget 25%
    mambino compress plan nemotron-nano-9b-v2 --count bytes --mix q4_k --budget 3GB --tokens 63000000000
    """
    parent = PRESETS[model] if model in PRESETS else open_parent(model).config
    found = [
        _fitting(parent, budget, least, tokens, mix, context)
        for budget in chosen_budgets(parent, budgets, count, mix, context, latency_table)
    ]
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
        return
    for one in found:
        print(f"budget {one.budget}: at most {one.limit:.6g} {count}")
        for size in one.sizes:
            print(f"  {_line(size)}")
        print(f"  training on {human_count(tokens)} tokens: {_price_text(one.training)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    hidden_size: int
    num_layers: int
    mamba_heads: int | None
    intermediate_size: int | None
    parameters: int
    nbytes: float
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitting:
    """The largest sizes inside one budget, and what training the first of them takes."""

    budget: str
    limit: float
    sizes: list[_Size]
    training: dict[str, float]


def _fitting(parent: HybridConfig, budget: Budget, least: float, tokens: int, mix: str, context: int) -> _Fitting:
    found = candidates(parent, default_space(parent, least=least), budget)
    return _Fitting(
        budget=budget.name,
        limit=budget.limit,
        sizes=[_size(candidate, mix, context) for candidate in found[:_SHOWN]],
        training=_price(found[0].sub.config, parent, tokens),
    )


def _size(candidate: Candidate, mix: str, context: int) -> _Size:
    config = candidate.sub.config
    return _Size(
        hidden_size=config.hidden_size,
        num_layers=len(config.layers),
        mamba_heads=candidate.sizes.mamba_heads,
        intermediate_size=candidate.sizes.intermediate_size,
        parameters=config.num_parameters,
        nbytes=bytes_with(mix, context=context)(config),
        cost=candidate.cost,
    )


def _line(size: _Size) -> str:
    return (
        f"hidden {size.hidden_size:<5} layers {size.num_layers:<3} Mamba heads {size.mamba_heads or '-':<4} "
        f"MLP {size.intermediate_size or '-':<6} {human_count(size.parameters):>7} parameters  "
        f"{human_bytes(size.nbytes):>8}"
    )


def _price(config: HybridConfig, parent: HybridConfig, tokens: int) -> dict[str, float]:
    from mambino.train.cost import GPUS, measured_flops_per_s, training_cost

    cost = training_cost(config, num_tokens=tokens, rows=1, row_size=4096, teacher=parent, recompute=True)
    hours = {f"hours {name}": cost.gpu_hours(gpu) for name, gpu in GPUS.items()}
    here = cost.hours(measured_flops_per_s())
    return {"flops": cost.flops, "memory_nbytes": cost.memory_nbytes, "hours here": here, **hours}


def _price_text(price: dict[str, float]) -> str:
    hours = ", ".join(
        f"{value:,.1f} h {name.removeprefix('hours ')}" for name, value in price.items() if "hours" in name
    )
    return f"{price['flops']:.2e} operations, {human_bytes(price['memory_nbytes'])} for rows of 4096; {hours}"
