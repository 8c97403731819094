"""Nemotron Nano 9B v2 -> 4B: the published compression as a plan that can be checked and priced without a GPU.

What is published is stated as such; learning rates, batch sizes and the choice of layers are not, and are ours.
Start at main (python -m recipes.nemotron_4b --dry-run).
"""

import argparse
from dataclasses import dataclass

from mambino.compress.axes import axes_of
from mambino.compress.nested import NestedLM
from mambino.compress.sub import SubConfig, SubSizes, sub_config
from mambino.config import HybridConfig
from mambino.errors import ConfigError
from mambino.model.hybrid import HybridLM
from mambino.presets import preset
from mambino.train.cost import GPUS, TrainingCost, training_cost

PARENT, CHILD = "nemotron-nano-9b-v2", "nemotron-3-nano-4b"
NUM_PARAMETERS = 3_973_556_832  # published
SIZES = SubSizes(hidden_size=3136, mamba_heads=96, intermediate_size=12_544, num_layers=42)  # published


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of distillation from the frozen parent. Context and tokens are published, the rest is ours."""

    name: str
    row_size: int
    num_tokens: int
    rows_per_gpu: int
    learning_rate: float
    mixture: str


STAGES = (
    Stage(
        name="short", row_size=8192, num_tokens=63_000_000_000, rows_per_gpu=2, learning_rate=1e-4,
        mixture="70 % post-training (reasoning), 30 % pretraining",
    ),
    Stage(
        name="long", row_size=49_152, num_tokens=150_000_000_000, rows_per_gpu=1, learning_rate=3e-5,
        mixture="the same family, long chains of thought",
    ),
)  # fmt: skip


def kept_layers(parent: HybridConfig, child: HybridConfig) -> tuple[int, ...]:
    """Layers of the parent that spell the child's pattern, each the earliest that fits.

    Which ones were kept is not published; a run takes them from `mambino compress rank`.
    """
    kept, at = list[int](), 0
    for letter in child.pattern:
        at = parent.pattern.find(letter, at) + 1
        if at == 0:
            raise ConfigError(f"[recipe] the child's pattern {child.pattern} is not inside {parent.pattern}")
        kept.append(at - 1)
    return tuple(kept)


def plan() -> SubConfig:
    """The 4B inside the 9B: sizes as published, widths alike in all layers."""
    parent = preset(PARENT)
    kept = kept_layers(parent, preset(CHILD))
    dropped = [index for index in range(len(parent.layers)) if index not in kept]
    return sub_config(parent, SIZES, depth_order=[*kept, *dropped])


def parameters_on_meta(sub: SubConfig) -> int:
    """Weights of the sub-model, counted on slices of the parent's tensors; no memory is used for values."""
    weights = NestedLM(HybridLM(preset(PARENT), device="meta")).weights(sub)
    assert all(len(axes_of(name)) <= weight.ndim for name, weight in weights.items())
    return sum(weight.numel() for weight in weights.values())


def costs(sub: SubConfig) -> dict[str, TrainingCost]:
    """One entry a stage: what each GPU holds in one pass, and the operations of the whole stage."""
    return {
        stage.name: training_cost(
            sub.config, num_tokens=stage.num_tokens, rows=stage.rows_per_gpu, row_size=stage.row_size,
            teacher=preset(PARENT), recompute=True,
        )
        for stage in STAGES
    }  # fmt: skip


def report() -> str:
    """The plan and its price, for people."""
    sub = plan()
    lines = [
        f"{PARENT} -> {CHILD}",
        f"  layers      {len(preset(PARENT).layers)} -> {len(sub.config.layers)}: {sub.config.pattern}",
        f"  hidden      {preset(PARENT).hidden_size} -> {sub.config.hidden_size}",
        f"  parameters  {preset(PARENT).num_parameters:,} -> {parameters_on_meta(sub):,}",
    ]
    for stage, cost in zip(STAGES, costs(sub).values(), strict=True):
        lines += [
            f"stage {stage.name}: {stage.num_tokens / 1e9:.0f} B tokens in rows of {stage.row_size}; {stage.mixture}",
            f"  {cost.flops:.2e} operations (student forward, recomputed forward, backward; teacher forward)",
            f"  {cost.state_nbytes / 1e9:.0f} GB shared, {cost.activation_nbytes / 1e9:.0f} GB a GPU for a pass",
        ]
        for name in ("H100 SXM", "B200"):
            gpus = cost.gpus_for_memory(GPUS[name])
            lines.append(f"  {name}: {cost.gpu_hours(GPUS[name]):,.0f} GPU-hours; at least {gpus} for the memory")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.nemotron_4b", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", required=True, help="print the plan and its price")
    parser.parse_args()
    print(report())


if __name__ == "__main__":
    main()
