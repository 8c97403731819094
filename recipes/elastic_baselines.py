"""Is elastic compression worth it? One parent, one budget, equal training tokens, four ways to a small model.

elastic (ranked, nested, distilled), random permutation (the same without the ranking), depth only (whole layers go),
and from scratch (the same size, fresh weights, the text alone). All four are reported, also where elastic loses.
Start at compare (python -m recipes.elastic_baselines --help).
"""

import argparse
import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mambino.compress.budget import Budget, parameters
from mambino.compress.elastic import ElasticLoss, ElasticSettings
from mambino.compress.importance import Importance, measure_importance
from mambino.compress.nested import NestedLM
from mambino.compress.permute import order_of, permute, random_order
from mambino.compress.space import candidates, default_space
from mambino.compress.sub import SubConfig, SubSizes, sub_config
from mambino.compress.trials import promising
from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.formats.checkpoint import open_checkpoint
from mambino.hub.local import resolve
from mambino.load import tokenizer_of
from mambino.model.hybrid import HybridLM
from mambino.model.weights import load_weights
from mambino.train.corpus import read_corpus, split_held_out
from mambino.train.data import Batch, Documents, MixedBatches
from mambino.train.loop import LoopSettings, LossFunction, language_loss, train
from mambino.train.metrics import held_out_loss
from mambino.train.optim import Cosine, Optimizer, OptimSettings

_Losses = NDArray[np.float64]  # by batch
_BOOTSTRAPS = 2000
_SCORED = 8  # batches that the ranking is made from
_LEAST = 0.15  # of an axis: where embeddings are much of a small model, the rest must shrink further


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """share: of the parent's parameters. steps x rows x row_size tokens train each arm.

    parent_steps: what the parent had before, of the same size; 0 where that is not known. A fifth arm gets them, too.
    scratch_learning_rate: fresh weights learn with larger steps than taught ones bear.
    """

    share: float = 0.5
    steps: int = 500
    rows: int = 8
    row_size: int = 256
    learning_rate: float = 1e-3
    scratch_learning_rate: float = 3e-3
    held_out_batches: int = 16
    parent_steps: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Held-out loss in nats a token, with a 95 % interval over batches of text.

    behind: how much more that is than the first arm's, batch by batch, so its interval is narrower.
    """

    name: str
    num_parameters: int
    num_tokens: int
    loss: float
    low: float
    high: float
    behind: float
    behind_low: float
    behind_high: float


def compare(parent: HybridLM, training: Documents, held_out: Documents, settings: Settings, folder: Path) -> list[Arm]:
    """All arms, in order. parent is left as it is; the runs are kept in folder and go on from there.

    Raises     InputError if no size, or no depth, fits the share
    """
    torch.manual_seed(settings.seed)
    config = parent.config
    budget = Budget(name=f"{settings.share:.0%}", cost=parameters, limit=settings.share * parameters(config))
    judged = _batches(held_out, settings, settings.held_out_batches)
    scored = _batches(training, settings, _SCORED)
    importance = measure_importance(parent, scored)
    sub = _closest(parent, importance, budget, scored)
    shallow = _depth_only(config, budget, importance.depth_order)
    teacher, first = copy.deepcopy(parent), list[_Losses]()

    def judge(name: str, model: HybridLM, num_tokens: int) -> Arm:
        losses = np.array([held_out_loss(model, [batch]) for batch in judged])
        first.append(losses)  # the first arm's stays in front
        return _arm(name, model, num_tokens, losses, first[0], np.array([batch.num_targets for batch in judged]))

    def nested(name: str, order: Callable[[HybridLM], None], small: SubConfig) -> Arm:
        model = copy.deepcopy(parent)
        order(model)
        subs = (SubConfig.whole(config), small)
        loss = ElasticLoss(ElasticSettings(subs=subs, shares=(1.0, 2.0), seed=settings.seed), teacher)
        tokens = _train(model, loss, training, settings, folder / name)
        return judge(name, NestedLM(model).extracted(small), tokens)

    def from_scratch(name: str, steps: int) -> Arm:
        model = HybridLM(sub.config, generator=torch.Generator().manual_seed(settings.seed))
        fresh = replace(settings, steps=steps, learning_rate=settings.scratch_learning_rate)
        tokens = _train(model, language_loss(), training, fresh, folder / name)
        return judge(name, model, tokens)

    shuffled = random_order(config, np.random.default_rng(settings.seed))
    return [
        nested("elastic", lambda model: permute(model, order_of(config, importance)), sub),
        nested("random permutation", lambda model: permute(model, shuffled), sub),
        nested("depth only", lambda model: None, shallow),
        from_scratch("scratch", settings.steps),
        *([from_scratch("scratch, and what the parent had", settings.steps + settings.parent_steps)]
          if settings.parent_steps else []),
    ]  # fmt: skip


def hybrid_named(name: str) -> HybridLM:
    """The float32 model of a file, a folder, or a fetched model, ready to train."""
    opened = open_checkpoint(resolve(name))
    model = HybridLM(opened.config, device="meta")
    load_weights(model, opened.tensors("hf"), device="cpu")
    return model


def _closest(parent: HybridLM, importance: Importance, budget: Budget, scored: Sequence[Batch]) -> SubConfig:
    """Of the sizes that fit, the one whose slice is closest to the parent as it is."""
    ranked, config = copy.deepcopy(parent), parent.config
    permute(ranked, order_of(config, importance))
    fitting = candidates(config, default_space(config, least=_LEAST), budget, depth_order=importance.depth_order)
    return promising(ranked, parent, fitting, scored, 1)[0].sub


def _depth_only(config: HybridConfig, budget: Budget, depth_order: Sequence[int]) -> SubConfig:
    for count in range(len(config.layers), 0, -1):
        sub = sub_config(config, SubSizes(num_layers=count), depth_order=depth_order)
        if budget.fits(sub.config):
            return sub
    raise InputError(f"[recipe] even one layer is above {budget.name}: embeddings are most of this model")


def _train(model: HybridLM, loss: LossFunction, documents: Documents, settings: Settings, folder: Path) -> int:
    """Mutates model. The tokens it saw."""
    warmup = max(1, settings.steps // 50)
    return train(
        model, Optimizer.for_model(model, OptimSettings(learning_rate=settings.learning_rate)),
        Cosine(warmup_steps=warmup, decay_steps=max(1, settings.steps - warmup)), _stream(documents, settings), loss,
        folder=folder, settings=LoopSettings(log_every_steps=50),
    ).num_tokens  # fmt: skip


def _stream(documents: Documents, settings: Settings) -> MixedBatches:
    return MixedBatches(
        {"text": documents}, lambda _: {"text": 1.0}, rows=settings.rows, row_size=settings.row_size, seed=settings.seed
    )


def _batches(documents: Documents, settings: Settings, count: int) -> list[Batch]:
    stream = _stream(documents, settings)  # one for all: a fresh one begins anew
    return [stream.batch(step) for step in range(count)]


def _arm(name: str, model: HybridLM, num_tokens: int, losses: _Losses, first: _Losses, targets: _Losses) -> Arm:
    """Percentile bootstrap over batches, weighted by their targets."""
    picks = np.random.default_rng(0).integers(len(losses), size=(_BOOTSTRAPS, len(losses)))

    def mean(values: _Losses) -> tuple[float, float, float]:
        resampled = (values * targets)[picks].sum(axis=1) / targets[picks].sum(axis=1)
        low, high = np.percentile(resampled, [2.5, 97.5])
        return float(np.average(values, weights=targets)), float(low), float(high)

    (loss, low, high), (behind, behind_low, behind_high) = mean(losses), mean(losses - first)
    return Arm(
        name=name, num_parameters=model.config.num_parameters, num_tokens=num_tokens, loss=loss, low=low, high=high,
        behind=behind, behind_low=behind_low, behind_high=behind_high,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.elastic_baselines", description=__doc__)
    parser.add_argument("--model", default="bundled", help="the parent: a file, a folder, or a fetched model")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help=".txt or .jsonl")
    parser.add_argument("--folder", type=Path, required=True, help="where the runs live")
    parser.add_argument("--steps", type=int, default=Settings().steps)
    parser.add_argument("--share", type=float, default=Settings().share)
    arguments = parser.parse_args()
    checkpoint = open_checkpoint(resolve(arguments.model))
    parent = hybrid_named(arguments.model)
    corpus = read_corpus(arguments.data, tokenizer_of(checkpoint), parse_special=True)
    training, held_out = split_held_out(corpus, 0.1)
    settings = replace(Settings(), steps=arguments.steps, share=arguments.share)
    arms = compare(parent, training, held_out, settings, arguments.folder)
    for arm in arms:
        print(f"{arm.name:<20} {arm.num_parameters:>10,} parameters  {arm.loss:.4f} [{arm.low:.4f}, {arm.high:.4f}]")
    print(json.dumps({"settings": asdict(settings), "arms": [asdict(arm) for arm in arms]}))


if __name__ == "__main__":
    main()
