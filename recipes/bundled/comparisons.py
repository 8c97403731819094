"""Was it worth it? The bundled model's compression against simpler ways, on its own rows.

Four other ways to the same size, two ways to choose sizes, rounding with and without distillation on the grid.

python -m recipes.bundled.comparisons --folder RUN after recipes.bundled; the last line is JSON. Start at main.
"""

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from mambino.compress.budget import Budget, parameters
from mambino.compress.elastic import distance
from mambino.compress.importance_file import read_importance
from mambino.compress.nested import NestedLM
from mambino.compress.permute import order_of, permute
from mambino.compress.qad import on_grid
from mambino.compress.router import RouterSettings, search_with_router
from mambino.compress.space import Candidate, candidates
from mambino.compress.sub import SubConfig, SubSizes
from mambino.compress.trials import promising, try_candidates
from mambino.formats.names import rows
from mambino.quant.mixes import plan_for_mix
from mambino.train.optim import OptimSettings
from recipes.bundled.data import Prepared, assistant_documents, prepare
from recipes.bundled.pipeline import RANKED, SPACE, harden, model_after, stream
from recipes.bundled.recipe import BUDGETS, CONFIG, ELASTIC, MIDTRAIN, PRETRAIN, QAD, QAD_MIX, SEED, SFT
from recipes.elastic_baselines import Arm, Settings, compare

_OPTIM = OptimSettings(learning_rate=1e-3)
_TRIALS, _TRIAL_STEPS, _ROUTER_STEPS, _JUDGED = 5, 30, 150, 8


def arms(folder: Path, prepared: Prepared, steps: int) -> list[Arm]:
    """The ways to the smallest size, on the assistant's rows, judged on rows of other names and phrasings."""
    rows = folder / ELASTIC.name / "rows.npz"
    training = assistant_documents(rows, prepared.tokenizer, ELASTIC.assistant_rows, seed=ELASTIC.seed, split="train")
    held_out = assistant_documents(
        folder / "comparisons" / "held_out.npz", prepared.tokenizer, 1000, seed=SEED + 9, split="held_out"
    )
    settings = Settings(
        share=min(BUDGETS.values()), steps=steps, rows=ELASTIC.rows, row_size=ELASTIC.row_size,
        parent_steps=PRETRAIN.schedule.total_steps + MIDTRAIN.schedule.total_steps,
    )  # fmt: skip
    return compare(model_after(MIDTRAIN, folder), training, held_out, settings, folder / "comparisons")


def searches(folder: Path, prepared: Prepared) -> list[dict[str, object]]:
    """For every budget: KL to the parent after the same short distillation, of tried sizes and of the router's."""
    parent, importance = model_after(MIDTRAIN, folder), read_importance(folder / RANKED)
    permute(parent, order_of(CONFIG, importance))
    budgets = [Budget(name=name, cost=parameters, limit=share * parameters(CONFIG)) for name, share in BUDGETS.items()]
    batches = stream(ELASTIC, folder, prepared)
    routed = [batches.batch(step) for step in range(_ROUTER_STEPS)]
    tried = [batches.batch(_ROUTER_STEPS + step) for step in range(_TRIAL_STEPS)]
    judged = [batches.batch(_ROUTER_STEPS + _TRIAL_STEPS + step) for step in range(_JUDGED)]
    chosen = {
        name: search_with_router(
            copy.deepcopy(parent), parent, SPACE, budgets, routed, depth_order=importance.depth_order,
            optim=_OPTIM, settings=RouterSettings(is_uneven=is_uneven),
        )
        for name, is_uneven in (("router", False), ("router, a size a layer", True))
    }  # fmt: skip
    found = list[dict[str, object]]()
    for index, budget in enumerate(budgets):
        fitting = candidates(CONFIG, SPACE, budget, depth_order=importance.depth_order)
        named = {
            f"tried {place}": one for place, one in enumerate(promising(parent, parent, fitting, judged, _TRIALS), 1)
        }
        for name, subs in chosen.items():
            named[name] = Candidate(sizes=SubSizes(), sub=subs[index], cost=budget.cost(subs[index].config))
        for trial in try_candidates(parent, parent, list(named.values()), tried, judged, optim=_OPTIM):
            name = next(name for name, candidate in named.items() if candidate is trial.candidate)
            config = trial.candidate.sub.config
            found.append({
                "budget": budget.name, "by": name, "parameters": config.num_parameters,
                "hidden_size": config.hidden_size, "pattern": config.pattern,
                "before": round(trial.before, 4), "after": round(trial.after, 4),
            })  # fmt: skip
            print(found[-1], flush=True)
    return found


def rounding(folder: Path, prepared: Prepared) -> dict[str, float]:
    """KL to the finished model on new rows: rounded to QAD_MIX as it is, and after distillation on that grid."""
    harden(folder, prepared)
    teacher, whole = model_after(SFT, folder), SubConfig.whole(CONFIG)
    plan = plan_for_mix(QAD_MIX, {row.own: row.shape for row in rows(CONFIG)})
    batches = stream(ELASTIC, folder, prepared)
    judged = [batches.batch(step) for step in range(_JUDGED)]
    found = {}
    for name, stage in (("rounded", SFT), ("distilled on the grid", QAD)):
        model = model_after(stage, folder)
        rounded = {
            own: on_grid(value, plan.types[own]) if plan.types[own].name != "F32" else value
            for own, value in model.state_dict().items()
        }
        model.load_state_dict(rounded)
        found[name] = distance(NestedLM(model), whole, teacher, judged)
        print(f"{QAD_MIX}, {name}: KL {found[name]:.5f}", flush=True)
    return found


def _show(made: Sequence[Arm]) -> None:
    for arm in made:
        print(f"{arm.name:<34} {arm.num_parameters:>10,} parameters  {arm.loss:.4f} [{arm.low:.4f}, {arm.high:.4f}]")


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.bundled.comparisons", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the run of recipes.bundled")
    parser.add_argument("--steps", type=int, default=400, help="of every way")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    prepared = prepare(arguments.folder / "data", Path(), 0.0, vocab_size=CONFIG.vocab_size, seed=SEED)
    made = arms(arguments.folder, prepared, arguments.steps)
    _show(made)
    found = {
        "arms": [asdict(arm) for arm in made],
        "rounding": rounding(arguments.folder, prepared),
        "searches": searches(arguments.folder, prepared),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
