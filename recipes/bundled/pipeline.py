"""The stages of the bundled model, each in a folder of its own that it continues from. Start at run."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch

from mambino.compress.budget import Budget, parameters
from mambino.compress.elastic import ElasticLoss, ElasticSettings
from mambino.compress.importance import measure_importance
from mambino.compress.importance_file import plot_importance, read_importance, write_importance
from mambino.compress.offered import FILE_NAME, nested_text
from mambino.compress.permute import order_of, permute
from mambino.compress.qad import quantised_distillation_loss
from mambino.compress.space import candidates, default_space
from mambino.compress.sub import SubConfig, read_sub
from mambino.compress.trials import promising, try_candidates
from mambino.errors import FormatError
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.json_file import read_json
from mambino.formats.mapped import replacing
from mambino.formats.names import rows
from mambino.model.hybrid import HybridLM
from mambino.quant.mixes import plan_for_mix
from mambino.train import checkpoint
from mambino.train.data import Batch, MixedBatches
from mambino.train.loop import LoopSettings, LossFunction, language_loss, train
from mambino.train.optim import Optimizer, OptimSettings
from recipes.bundled.data import Prepared, assistant_documents
from recipes.bundled.deepen import deepen
from recipes.bundled.recipe import (
    BUDGETS,
    CONFIG,
    EARLIER_LAYERS,
    ELASTIC,
    GUIDED,
    MIDTRAIN,
    PRACTICE,
    PRETRAIN,
    QAD,
    QAD_MIX,
    SEED,
    SFT,
    Stage,
)

RANKED = "3-ranked"
SPACE = default_space(CONFIG, least=0.15)  # embeddings are a quarter of it: the rest must shrink further for half
_TRIALS, _TRIAL_STEPS, _SCORED, _JUDGED = 4, 15, 12, 4


def run(
    folder: Path, prepared: Prepared, *, start_from: Checkpoint | None = None
) -> tuple[HybridLM, dict[str, SubConfig]]:
    """Train, or continue, all stages: the nested model, and its smaller sizes by name.

    start_from: a bundled model made earlier, whose weights are taken instead of the first two stages.
    Mutates    folder
    """
    torch.set_flush_denormal(True)  # decayed states are full of denormals, which are slow
    parent = HybridLM(CONFIG, generator=torch.Generator().manual_seed(SEED))
    if start_from is not None:
        same = start_from.config.layers == CONFIG.layers
        deepen(parent, start_from, range(len(CONFIG.layers)) if same else EARLIER_LAYERS)
    for stage in (PRETRAIN, MIDTRAIN, PRACTICE) if start_from is None else (PRACTICE,):
        run_stage(parent, stage, language_loss(), folder, prepared)
    subs = rank(parent, folder, prepared)
    teacher = copy.deepcopy(parent).eval().requires_grad_(False)
    sizes = (SubConfig.whole(CONFIG), *subs.values())

    def teach(model: HybridLM, stage: Stage, master: HybridLM | None) -> None:
        """All sizes. Without a master the largest learns from the text, the others from it. Mutates model; folder."""
        settings = ElasticSettings(
            subs=sizes, shares=(1.0,) * len(sizes), target_weight=stage.target_weight, seed=stage.seed
        )
        run_stage(model, stage, ElasticLoss(settings, master), folder, prepared)

    teach(parent, ELASTIC, teacher)
    teach(copy.deepcopy(parent), SFT, None)
    teach(copy.deepcopy(parent), GUIDED, teacher)
    return averaged(folder), subs


def run_stage(model: HybridLM, stage: Stage, loss: LossFunction, folder: Path, prepared: Prepared) -> None:
    """Mutates model; folder."""
    train(
        model, Optimizer.for_model(model, stage.optim), stage.schedule, stream(stage, folder, prepared), loss,
        folder=folder / stage.name, settings=LoopSettings(keep_every_steps=500),
    )  # fmt: skip


def stream(stage: Stage, folder: Path, prepared: Prepared) -> MixedBatches:
    """The stage's batches from their start. Mutates folder, where the stage's rows are kept."""
    rows = assistant_documents(
        folder / stage.name / "rows.npz",
        prepared.tokenizer,
        stage.assistant_rows,
        seed=stage.seed,
        split="train",
        shares=stage.row_shares,
    )
    corpora = {**prepared.training, "assistant": rows}
    return MixedBatches(corpora, lambda step: stage.shares, rows=stage.rows, row_size=stage.row_size, seed=stage.seed)


def rank(parent: HybridLM, folder: Path, prepared: Prepared) -> dict[str, SubConfig]:
    """Sort the parent's parts by use, and choose a size for every budget by short trials.

    Mutates    parent, whose logits stay; folder
    """
    place, batches = folder / RANKED, stream(ELASTIC, folder, prepared)
    scored = [batches.batch(step) for step in range(_SCORED)]
    if not (place / FILE_NAME).exists():
        write_importance(place, measure_importance(parent, scored))
        plot_importance(place, read_importance(place))
    importance = read_importance(place)
    permute(parent, order_of(CONFIG, importance))
    if not (place / FILE_NAME).exists():
        tried = [batches.batch(_SCORED + step) for step in range(_TRIAL_STEPS)]
        judged = [batches.batch(_SCORED + _TRIAL_STEPS + step) for step in range(_JUDGED)]
        subs = {
            name: _best(parent, Budget(name=name, cost=parameters, limit=share * parameters(CONFIG)),
                        importance.depth_order, tried, judged)
            for name, share in BUDGETS.items()
        }  # fmt: skip
        with replacing(place / FILE_NAME) as file:
            file.write(nested_text(subs).encode())
    return chosen_sizes(folder)


def chosen_sizes(folder: Path) -> dict[str, SubConfig]:
    """What rank chose, by name; nothing yet before it ran. Raises FormatError if its file is damaged."""
    path = folder / RANKED / FILE_NAME
    entries = read_json(path).get("subs") if path.exists() else {}
    if not isinstance(entries, dict):
        raise FormatError(f"{path}: damaged; remove it and run again")
    return {name: read_sub(CONFIG, entry, str(path)) for name, entry in entries.items()}


def _best(
    parent: HybridLM, budget: Budget, depth_order: Sequence[int], tried: Sequence[Batch], judged: Sequence[Batch]
) -> SubConfig:
    fitting = candidates(CONFIG, SPACE, budget, depth_order=depth_order)
    optim = OptimSettings(learning_rate=1e-3)
    likely = promising(parent, parent, fitting, judged[:2], _TRIALS)
    trials = try_candidates(parent, parent, likely, tried, judged, optim=optim)
    for trial in trials:
        print(f"{budget.name}: {trial.candidate.sizes} KL {trial.before:.4f} -> {trial.after:.4f}", flush=True)
    return trials[0].candidate.sub


def harden(model: HybridLM, folder: Path, prepared: Prepared) -> None:
    """Distil model on the grid of QAD_MIX into itself. Mutates model; folder."""
    plan = plan_for_mix(QAD_MIX, {row.own: row.shape for row in rows(CONFIG)})
    teacher = copy.deepcopy(model).eval().requires_grad_(False)
    run_stage(model, QAD, quantised_distillation_loss(teacher, CONFIG, plan), folder, prepared)


def model_after(*stages: str, folder: Path) -> HybridLM:
    """The mean of what the stages left, by name; up to PRACTICE: before the parts were sorted."""
    mean = HybridLM(CONFIG)
    others = [HybridLM(CONFIG) for _ in stages]
    for stage, model in zip(stages, others, strict=True):
        checkpoint.load_weights(folder / stage / "latest.pt", model)
    with torch.no_grad():
        for target, *weights in zip(mean.parameters(), *(model.parameters() for model in others), strict=True):
            target.copy_(torch.stack(weights).mean(0))
    return mean


def averaged(folder: Path) -> HybridLM:
    """The model that is to be shipped, or reinforced."""
    return model_after(SFT.name, GUIDED.name, folder=folder)
