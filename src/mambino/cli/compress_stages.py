"""The stages of `mambino compress train`: read from the command line, and what they will take. Start at read_stages."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from mambino.cli.terminal import human_bytes, human_count
from mambino.compress.sub import SubConfig
from mambino.config import HybridConfig

if TYPE_CHECKING:
    from mambino.compress.elastic import ElasticSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps at a row size; shares of steps for 100 % and then each budget, None for even ones."""

    steps: int
    row_size: int
    shares: tuple[float, ...] | None

    def settings(self, sizes: tuple[SubConfig, ...], *, sandwich: bool, seed: int) -> "ElasticSettings":
        """sizes: the whole model, then one for each budget."""
        from mambino.compress.elastic import ElasticSettings

        return ElasticSettings(
            subs=sizes, shares=self.shares or (1.0,) * len(sizes), sandwich=sandwich, target_weight=0.1, seed=seed
        )


def read_stages(texts: Sequence[str], *, row_size: int, num_budgets: int) -> list[Stage]:
    """Without any, 1000 steps of row_size. Raises UsageError."""
    stages = [_read(text) for text in texts] or [Stage(steps=1000, row_size=row_size, shares=None)]
    for stage in stages:
        if stage.shares is not None and len(stage.shares) != num_budgets + 1:
            raise click.UsageError(f"--stage: expected {num_budgets + 1} shares (100% and each budget)")
    return stages


def _read(text: str) -> Stage:
    """STEPSxROW_SIZE[:SHARE/SHARE/...], such as 500x2048:50/30/20."""
    sizes, _, shares = text.partition(":")
    try:
        steps, row_size = (int(number) for number in sizes.split("x"))
        parsed = tuple(float(share) for share in shares.split("/")) if shares else None
    except ValueError:
        raise click.UsageError(f"--stage {text}: expected STEPSxTOKENS or STEPSxTOKENS:SHARE/SHARE/...") from None
    if steps < 1 or row_size < 8:
        raise click.UsageError(f"--stage {text}: expected at least 1 step and rows of at least 8 tokens")
    if parsed is not None and not all(0 < share < math.inf for share in parsed):
        raise click.UsageError(f"--stage {text}: expected positive shares")
    return Stage(steps=steps, row_size=row_size, shares=parsed)


def show_cost(
    sizes: tuple[SubConfig, ...], teacher: HybridConfig, stages: Sequence[Stage], *, rows: int, accumulate: int,
    sandwich: bool, recompute: bool,
) -> None:  # fmt: skip
    """A line a stage. sizes: the whole model, then the largest that fits each budget; the search finds none larger."""
    from mambino.train.cost import GPUS, measured_flops_per_s, training_cost

    here, whole = measured_flops_per_s(), sizes[0].config
    print(f"{human_count(whole.num_parameters)} parameters; sizes as large as they may be; without the search for them")
    for stage in stages:
        kinds = stage.settings(sizes, sandwich=sandwich, seed=0).step_kinds(has_teacher=True)
        tokens = stage.steps * rows * stage.row_size
        cost = training_cost(
            whole, num_tokens=tokens, rows=math.ceil(rows / accumulate), row_size=stage.row_size, teacher=teacher,
            recompute=recompute,
            kinds=[([sub.config for sub in subs], share) for subs, share in kinds],
        )  # fmt: skip
        gpus = ", ".join(f"{cost.gpu_hours(gpu):,.2g} h {name}" for name, gpu in GPUS.items())
        print(
            f"stage {stage.steps} x {rows} x {stage.row_size}: {human_count(tokens)} tokens, {cost.flops:.2e} "
            f"operations, {human_bytes(cost.memory_nbytes)}; {cost.hours(here):,.2g} h here, {gpus}"
        )
