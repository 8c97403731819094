"""The last step of the bundled model: reinforcement at full size, and the smaller sizes taught what it changed.

python -m recipes.bundled.reinforce --folder RUN --out src/mambino/bundled, after recipes.bundled. It writes the files
only when told where: look at results.json in RUN/7-reinforced first. Start at main.
"""

import argparse
import copy
from pathlib import Path

import torch

from mambino.compress.elastic import ElasticLoss, ElasticSettings
from mambino.compress.sub import SubConfig
from mambino.model.hybrid import HybridLM
from recipes.bundled.data import Prepared, prepare
from recipes.bundled.export import export
from recipes.bundled.pipeline import averaged, chosen_sizes, run_stage
from recipes.bundled.recipe import CONFIG, REINFORCED, SEED, SETTLE
from recipes.posttrain import reinforce, stages


def settle(model: HybridLM, subs: dict[str, SubConfig], folder: Path, prepared: Prepared) -> None:
    """Distil model into all of its sizes, its own included, so that none of them moves away. Mutates model; folder."""
    teacher = copy.deepcopy(model).eval().requires_grad_(False)
    sizes = (SubConfig.whole(CONFIG), *subs.values())
    settings = ElasticSettings(
        subs=sizes, shares=(1.0,) * len(sizes), target_weight=SETTLE.target_weight, seed=SETTLE.seed
    )
    run_stage(model, SETTLE, ElasticLoss(settings, teacher), folder, prepared)


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.bundled.reinforce", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the run of recipes.bundled; it continues there")
    parser.add_argument("--steps", type=int, default=25, help="of each stage")
    parser.add_argument("--tasks", type=int, default=300, help="to train on, of each environment")
    parser.add_argument("--held-out", type=int, default=60, help="to look at after each stage, of each environment")
    parser.add_argument("--out", type=Path, help="write the bundled file and its record here")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    prepared = prepare(arguments.folder / "data", Path(), 0.0, vocab_size=CONFIG.vocab_size, seed=SEED)
    model, subs = averaged(arguments.folder), chosen_sizes(arguments.folder)
    reinforce(model, prepared.prompt, arguments.folder / REINFORCED, stages(arguments.steps),
              tasks=arguments.tasks, held_out=arguments.held_out)  # fmt: skip
    settle(model, subs, arguments.folder, prepared)
    if arguments.out:
        print(export(arguments.folder, prepared, model, subs, arguments.out))


if __name__ == "__main__":
    main()
