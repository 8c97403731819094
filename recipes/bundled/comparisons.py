"""Was it worth it? The bundled model's compression against simpler ways, on its own rows.

Four other ways to the same size, two ways to choose sizes, rounding with and without distillation on the grid; all
from a parent that is made like the bundled one in fewer steps (recipe.YOUNG).

python -m recipes.bundled.comparisons --folder RUN after recipes.bundled --data-only. Each part is kept as JSON in
RUN/comparisons, and what is there is not made again. Start at main.
"""

import argparse
import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from mambino.compress.budget import Budget, parameters
from mambino.compress.elastic import distance
from mambino.compress.importance import measure_importance
from mambino.compress.nested import NestedLM
from mambino.compress.permute import order_of, permute
from mambino.compress.qad import on_grid
from mambino.compress.router import RouterSettings, search_with_router
from mambino.compress.space import Candidate, candidates
from mambino.compress.sub import SubConfig, SubSizes
from mambino.compress.trials import promising, try_candidates
from mambino.formats.mapped import replacing
from mambino.formats.names import rows
from mambino.load import open_model
from mambino.model.hybrid import HybridLM
from mambino.quant.mixes import plan_for_mix
from mambino.tokenizer.files import tokenizer_from_directory
from mambino.train.loop import language_loss
from mambino.train.optim import OptimSettings
from recipes.bundled.assistant.judge import evaluate
from recipes.bundled.data import Prepared, assistant_documents, prepare
from recipes.bundled.export import write_gguf
from recipes.bundled.pipeline import SPACE, harden, run_stage, stream
from recipes.bundled.recipe import BUDGETS, CONFIG, ELASTIC, QAD_MIX, SEED, YOUNG
from recipes.elastic_baselines import Arm, Settings, compare

_OPTIM = OptimSettings(learning_rate=1e-3)
_PARTS = ("arms", "rounding", "searches")
_TRIALS, _TRIAL_STEPS, _ROUTER_STEPS, _JUDGED = 3, 30, 100, 8
_FILE_ROWS = 14_000  # for every way; the longest of them goes through most of it once


def young_parent(folder: Path, prepared: Prepared) -> HybridLM:
    """The parent after all steps of YOUNG, trained or continued. Mutates folder."""
    parent = HybridLM(CONFIG, generator=torch.Generator().manual_seed(SEED))
    run_stage(parent, YOUNG, language_loss(), folder, prepared)
    return parent


def arms(parent: HybridLM, folder: Path, prepared: Prepared, steps: int) -> list[Arm]:
    """The ways to the smallest size, on the assistant's rows, judged on rows of other names and phrasings."""
    place = folder / "comparisons"
    training = assistant_documents(
        place / "rows.npz", prepared.tokenizer, _FILE_ROWS, seed=ELASTIC.seed, split="train", shares=ELASTIC.row_shares
    )
    held_out = assistant_documents(place / "held_out.npz", prepared.tokenizer, 1000, seed=SEED + 9, split="held_out")
    settings = Settings(
        share=min(BUDGETS.values()), steps=steps, rows=ELASTIC.rows, row_size=ELASTIC.row_size,
        parent_steps=YOUNG.schedule.total_steps,
    )  # fmt: skip
    return compare(parent, training, held_out, settings, place)


def searches(parent: HybridLM, folder: Path, prepared: Prepared) -> list[dict[str, object]]:
    """For every budget: KL to the parent after the same short distillation, of tried sizes and of the router's.

    Mutates    parent, whose parts are sorted; folder
    """
    batches = stream(ELASTIC, folder, prepared)
    importance = measure_importance(parent, [batches.batch(step) for step in range(_JUDGED)])
    permute(parent, order_of(CONFIG, importance))
    budgets = [Budget(name=name, cost=parameters, limit=share * parameters(CONFIG)) for name, share in BUDGETS.items()]
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
            f"tried {place}": one
            for place, one in enumerate(promising(parent, parent, fitting, judged[:2], _TRIALS), 1)
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


def rounding(parent: HybridLM, folder: Path, prepared: Prepared, count: int) -> list[dict[str, object]]:
    """The parent rounded to QAD_MIX as it is, and after distillation on that grid, beside itself.

    KL to the parent on new rows, and what the judge says of count held-out rows. Mutates folder.
    """
    distilled, whole = copy.deepcopy(parent), SubConfig.whole(CONFIG)
    harden(distilled, folder, prepared)
    plan = plan_for_mix(QAD_MIX, {row.own: row.shape for row in rows(CONFIG)})
    batches = stream(ELASTIC, folder, prepared)
    judged = [batches.batch(step) for step in range(_JUDGED)]
    found = list[dict[str, object]]()
    for name, model, mix in (
        ("parent", parent, "q8_0"),
        ("rounded", copy.deepcopy(parent), QAD_MIX),
        ("distilled on the grid", distilled, QAD_MIX),
    ):  # fmt: skip
        path = folder / "comparisons" / f"{name.replace(' ', '-')}.gguf"
        write_gguf(path, model, prepared.tokenizer, mix=mix)
        report = evaluate(open_model(path), tokenizer_from_directory(prepared.tokenizer), count=count, seed=SEED + 9)
        if mix == QAD_MIX:
            grid = {own: on_grid(value, plan.types[own]) if plan.types[own].name != "F32" else value
                    for own, value in model.state_dict().items()}  # fmt: skip
            model.load_state_dict(grid)
        found.append({
            "weights": name, "mix": mix, "bytes": path.stat().st_size,
            "kl": round(distance(NestedLM(model), whole, parent, judged), 5),
            **{key: asdict(report.measures[key]) for key in ("tool_call_exact", "instructions", "all")},
        })  # fmt: skip
        print(found[-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.bundled.comparisons", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the run of recipes.bundled")
    parser.add_argument("--steps", type=int, default=200, help="of every way")
    parser.add_argument("--count", type=int, default=300, help="held-out conversations to judge rounding by")
    parser.add_argument("--only", choices=_PARTS, action="append", help="may be repeated; all by default")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    prepared = prepare(arguments.folder / "data", Path(), 0.0, vocab_size=CONFIG.vocab_size, seed=SEED)
    parent = young_parent(arguments.folder, prepared)
    parts: dict[str, Callable[[], list[dict[str, object]]]] = {
        "arms": lambda: [asdict(arm) for arm in arms(parent, arguments.folder, prepared, arguments.steps)],
        "rounding": lambda: rounding(parent, arguments.folder, prepared, arguments.count),
        "searches": lambda: searches(copy.deepcopy(parent), arguments.folder, prepared),
    }
    for name in arguments.only or _PARTS:
        path = arguments.folder / "comparisons" / f"{name}.json"
        if not path.exists():
            with replacing(path) as file:
                file.write(json.dumps(parts[name](), indent=1).encode() + b"\n")
        print(f"{name}:\n{path.read_text(encoding='utf-8')}", flush=True)


if __name__ == "__main__":
    main()
