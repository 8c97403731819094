"""A teacher that has spoken already: its K likeliest tokens at every place, on disk, for training without it.

A folder with ids.npy, log_probs.npy, batches.json. The store belongs to one teacher and one stream of batches, and says
so if it is asked for another. Start at store_logits and stored_distillation_loss.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
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
    about: Mapping[str, object],
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Run the teacher over the next num_steps batches and keep what it says: 6 bytes a kept token.

    about: who speaks, and to what, as JSON values by name; the same must be said to use the store.
    Mutates    batches; folder
    Raises     InputError if kept is not a part of the vocabulary, or the folder holds something
    """
    if not 1 <= kept < teacher.config.vocab_size:
        raise InputError(f"[distill] kept tokens: expected 1 to {teacher.config.vocab_size - 1}, got {kept}")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; store logits in a fresh folder")
    folder.mkdir(parents=True, exist_ok=True)
    digests, ids, log_probs = list[list[str]](), list[Tensor](), list[Tensor]()
    for step in range(num_steps):
        batch = batches.batch(step)
        place = placed(batch, teacher)
        logits = teacher(place.tokens, resets=place.resets)
        best = functional.log_softmax(logits.float(), dim=-1).topk(kept)
        digests.append(_digests(batch))
        ids.append(best.indices.int().cpu())
        log_probs.append(best.values.half().cpu())
        on_progress(step + 1)
    np.save(folder / "ids.npy", torch.stack(ids).numpy())
    np.save(folder / "log_probs.npy", torch.stack(log_probs).numpy())
    with replacing(folder / BATCHES) as file:
        described = {"vocab_size": teacher.config.vocab_size, "about": dict(about), "sha256": digests}
        file.write(json.dumps(described).encode())


def stored_distillation_loss(folder: Path, about: Mapping[str, object]) -> LossFunction:
    """KL over the kept tokens and one bucket for all others: at most the full KL, equal where K covers enough.

    Raises     FormatError for a damaged folder, InputError for a store about something else. The loss raises InputError
               for rows that the store has not seen at that step
    """
    described = read_json(folder / BATCHES)
    _require_about(folder, described.get("about"), about)
    digests, vocab_size = described.get("sha256"), described.get("vocab_size")
    try:
        ids = np.load(folder / "ids.npy", mmap_mode="r", allow_pickle=False)
        log_probs = np.load(folder / "log_probs.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FormatError(f"{folder}: stored logits cannot be read: {error}; store them again") from error
    if not isinstance(digests, list) or ids.ndim != 4 or ids.shape != log_probs.shape or len(ids) != len(digests):
        raise FormatError(f"{folder}: stored logits do not fit each other; store them again")
    if not all(isinstance(rows, list) and len(rows) == ids.shape[1] for rows in digests):
        raise FormatError(f"{folder}: stored logits do not fit each other; store them again")

    def loss(model: HybridLM, batch: Batch, step: int) -> Tensor:
        if model.config.vocab_size != vocab_size:
            raise InputError(
                f"[distill] vocabulary: stored for {vocab_size}, the student has {model.config.vocab_size}"
            )
        stored_rows, wanted = digests[step] if step < len(digests) else [], _digests(batch)
        if not set(wanted) <= set(stored_rows):
            raise InputError(
                f"[distill] step {step}: the logits were stored for {len(digests)} other batches; use the same data, "
                "rows, row size and seed, or store them again"
            )
        rows = [stored_rows.index(digest) for digest in wanted]  # all of the batch, or a part of it
        place = placed(batch, model)
        logits, counted = model(place.tokens, resets=place.resets), place.targets != IGNORED
        stored_ids, stored = (torch.from_numpy(array[step][rows]).to(logits.device) for array in (ids, log_probs))
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


def _require_about(folder: Path, stored: object, wanted: Mapping[str, object]) -> None:
    known = stored if isinstance(stored, dict) else {}
    other = [name for name, value in wanted.items() if known.get(name) != json.loads(json.dumps(value))]
    if other:
        raise InputError(f"{folder}: was stored with another {', '.join(other)}; store again in a fresh folder")


def _digests(batch: Batch) -> list[str]:
    """One a row."""
    rows = zip(batch.tokens_BT, batch.resets_BT, strict=True)
    return [hashlib.sha256(tokens.tobytes() + resets.tobytes()).hexdigest() for tokens, resets in rows]
