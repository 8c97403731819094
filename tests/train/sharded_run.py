"""What each process of test_ranks does: train a tiny model to a step, and write the losses (rank 0).

torchrun --nproc-per-node 2 sharded_run.py FOLDER STEPS KIND

KIND: adamw and muon train sharded weights; elastic trains slices of whole ones, in passes of half a step.
"""

import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mambino.compress.elastic import ElasticLoss, ElasticSettings
from mambino.compress.sub import SubConfig, SubSizes, sub_config
from mambino.model.hybrid import HybridLM
from mambino.train.data import Batch, Documents, MixedBatches
from mambino.train.loop import LoopSettings, LossFunction, language_loss, train
from mambino.train.optim import Cosine, Optimizer, OptimSettings
from mambino.train.ranks import Ranks
from tiny_models import tiny_hybrid_config

STEPS = 6


def run(folder: Path, stop_at: int, kind: str) -> None:
    """Train to STEPS, or be interrupted at stop_at."""
    torch.set_num_threads(1)
    ranks, config = Ranks.from_environment(), tiny_hybrid_config()
    model = HybridLM(config, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (ranks.replicate if kind == "elastic" else ranks.shard)(model)
    optimizer = Optimizer.for_model(model, OptimSettings(learning_rate=0.01, use_muon=kind == "muon"))
    rng = np.random.default_rng(4)
    texts = [np.arange(start, start + rng.integers(3, 30)) % config.vocab_size for start in range(40)]
    batches = MixedBatches(
        {"count": Documents.of([text.tolist() for text in texts])}, lambda _: {"count": 1.0}, rows=4, row_size=32,
        seed=7,
    )  # fmt: skip
    plain = elastic_loss(model) if kind == "elastic" else language_loss()
    accumulate = 2 if kind == "elastic" else 1

    def loss(model: HybridLM, batch: Batch, step: int) -> torch.Tensor:
        if step == stop_at:
            raise KeyboardInterrupt
        return plain(model, batch, step)

    with contextlib.suppress(KeyboardInterrupt):
        train(
            model, optimizer, Cosine(warmup_steps=1, decay_steps=STEPS - 1), batches, loss, folder=folder,
            settings=LoopSettings(log_every_steps=1, save_every_s=0.0, accumulate=accumulate),
            progress_to=io.StringIO(), ranks=ranks,
        )  # fmt: skip


def elastic_loss(model: HybridLM) -> LossFunction:
    """The whole model and a part of it, which takes another part of the weights in every step."""
    small = sub_config(model.config, SubSizes(hidden_size=20, num_layers=5))
    teacher = HybridLM(model.config, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    settings = ElasticSettings(subs=(SubConfig.whole(model.config), small), shares=(1.0, 1.0), target_weight=0.5)
    return ElasticLoss(settings, teacher)


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
