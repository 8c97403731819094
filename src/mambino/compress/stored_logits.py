"""A teacher that has spoken already: its K likeliest tokens at every place, on disk, for training without it.

A folder with ids.npy, log_probs.npy, batches.json. The store belongs to one stream of batches and says so if it is fed
another. Start at store_logits and stored_distillation_loss.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mambino.errors import FormatError, InputError
from mambino.formats.json_file import read_json
from mambino.formats.mapped import replacing
from mambino.model.hybrid import HybridLM
from mambino.train.data import IGNORED, Batch, MixedBatches
from mambino.train.loop import LossFunction
from mambino.train.placed import placed

# Letters: S steps, B rows, T tokens, K kept tokens, V vocabulary.

BATCHES = "batches.json"  # written last: where it is, the store is whole
_LEAST_REST = 1e-6  # of probability outside the K tokens; float16 rounding can leave less than nothing


@torch.no_grad()
def store_logits(
    teacher: HybridLM,
    batches: MixedBatches,
    folder: Path,
    *,
    num_steps: int,
    kept: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Run the teacher over the next num_steps batches and keep what it says: 6 bytes a kept token.

    Mutates    batches; folder
    Raises     InputError if kept is not a part of the vocabulary, or the folder holds something
    """
    if not 1 <= kept < teacher.config.vocab_size:
        raise InputError(f"[distill] kept tokens: expected 1 to {teacher.config.vocab_size - 1}, got {kept}")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; store logits in a fresh folder")
    folder.mkdir(parents=True, exist_ok=True)
    digests, ids, log_probs = list[str](), list[Tensor](), list[Tensor]()
    for step in range(num_steps):
        batch = batches.batch(step)
        place = placed(batch, teacher)
        logits = teacher(place.tokens, resets=place.resets)
        best = functional.log_softmax(logits.float(), dim=-1).topk(kept)
        digests.append(_digest(batch))
        ids.append(best.indices.int().cpu())
        log_probs.append(best.values.half().cpu())
        on_progress(step + 1)
    np.save(folder / "ids.npy", torch.stack(ids).numpy())
    np.save(folder / "log_probs.npy", torch.stack(log_probs).numpy())
    with replacing(folder / BATCHES) as file:
        file.write(json.dumps({"vocab_size": teacher.config.vocab_size, "sha256": digests}).encode())


def stored_distillation_loss(folder: Path) -> LossFunction:
    """KL over the kept tokens and one bucket for all others: at most the full KL, equal where K covers enough.

    Raises     FormatError for a damaged folder. The loss raises InputError for a batch that the store has not seen
    """
    described = read_json(folder / BATCHES)
    digests, vocab_size = described.get("sha256"), described.get("vocab_size")
    try:
        ids = np.load(folder / "ids.npy", mmap_mode="r", allow_pickle=False)
        log_probs = np.load(folder / "log_probs.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FormatError(f"{folder}: stored logits cannot be read: {error}; store them again") from error
    if not isinstance(digests, list) or ids.shape != log_probs.shape or len(ids) != len(digests) or ids.ndim != 4:
        raise FormatError(f"{folder}: stored logits do not fit each other; store them again")

    def loss(model: HybridLM, batch: Batch, step: int) -> Tensor:
        if model.config.vocab_size != vocab_size:
            raise InputError(
                f"[distill] vocabulary: stored for {vocab_size}, the student has {model.config.vocab_size}"
            )
        if step >= len(digests) or digests[step] != _digest(batch):
            raise InputError(
                f"[distill] step {step}: the logits were stored for {len(digests)} other batches; use the same data, "
                "rows, row size and seed, no accumulation, or store them again"
            )
        place = placed(batch, model)
        logits, counted = model(place.tokens, resets=place.resets), place.targets != IGNORED
        stored_ids, stored = (torch.from_numpy(array[step].copy()).to(logits.device) for array in (ids, log_probs))
        return top_kl(logits[counted], stored_ids[counted].long(), stored[counted]).sum() / counted.sum().clamp_min(1)

    return loss


def top_kl(logits_NV: Tensor, ids_NK: Tensor, log_probs_NK: Tensor) -> Tensor:
    """KL a token between two distributions over K tokens and the rest: (N,)."""
    log_q = functional.log_softmax(logits_NV.float(), dim=-1).gather(1, ids_NK)
    log_p = log_probs_NK.float()
    p = log_p.exp()
    p_rest = (1.0 - p.sum(dim=-1)).clamp_min(_LEAST_REST)
    q_rest = (1.0 - log_q.exp().sum(dim=-1)).clamp_min(_LEAST_REST)
    kl: Tensor = (p * (log_p - log_q)).sum(dim=-1) + p_rest * (p_rest.log() - q_rest.log())
    return kl


def _digest(batch: Batch) -> str:
    return hashlib.sha256(batch.tokens_BT.tobytes() + batch.resets_BT.tobytes()).hexdigest()
