"""Direct preference optimisation: of two answers to one prompt, the chosen becomes likelier than the rejected.

The small extra step that cut invented tool calls from 8.3 % to 0.7 % in Nemotron 3 Nano's report. Rows hold a
conversation and two last messages. Start at read_pairs and train_dpo.

Source: Rafailov et al. 2023, arXiv:2305.18290
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mambino.chat.messages import message_from_json
from mambino.chat.prompt import PromptEncoder
from mambino.errors import InputError, MambinoError, TrainingError
from mambino.model.hybrid import HybridLM
from mambino.posttrain.grpo import token_logprobs
from mambino.posttrain.health import HealthLog
from mambino.posttrain.rows import ChatRow, Fault, require_sound, text_lines, tools_of
from mambino.posttrain.spans import sequences
from mambino.train import checkpoint
from mambino.train.checkpoint import Progress
from mambino.train.data import Document, Documents
from mambino.train.optim import Optimizer, Schedule
from mambino.train.same_run import require_same_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two answers to one prompt, each as a document in which only the answer is counted."""

    chosen: Document
    rejected: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class DpoSettings:
    """beta: how strongly staying near the reference is wanted. sft_weight: of the chosen answers' own loss.

    Source     sft_weight and the learning rate 3e-6 of Nemotron 3 Nano's technical report
    """

    beta: float = 0.05
    sft_weight: float = 0.2
    pairs: int = 8
    clip_norm: float = 1.0
    save_every_steps: int = 50
    seed: int = 0


def read_pairs(path: Path, prompt: PromptEncoder) -> list[Pair]:
    """Lines {"messages": [...], "chosen": {message}, "rejected": {message}, "tools": [...]}.

    Raises     InputError that lists every fault by line, or says that the file is not UTF-8 text
    """
    pairs, faults = list[Pair](), list[Fault]()
    for line, text in text_lines(path):
        try:
            pairs.append(_pair(line, json.loads(text), prompt))
        except (ValueError, RecursionError, MambinoError) as error:
            faults.append(Fault(line=line, problem=str(error)))
    require_sound(path, faults, len(pairs))
    return pairs


def _pair(line: int, fields: object, prompt: PromptEncoder) -> Pair:
    if not isinstance(fields, Mapping) or not isinstance(fields.get("messages"), list):
        raise InputError('expected an object with "messages", "chosen" and "rejected"')
    asked = tuple(message_from_json(one, where=f"messages[{index}]") for index, one in enumerate(fields["messages"]))
    if not asked:
        raise InputError("messages: expected at least one")
    problems = list[str]()
    tools = tools_of(fields.get("tools"), problems)
    if tools is None:
        raise InputError("; ".join(problems))
    documents = []
    for name in ("chosen", "rejected"):
        answer = message_from_json(fields.get(name), where=name)
        if answer.role != "assistant" or not (answer.content or answer.tool_calls):
            raise InputError(f"{name}: expected an assistant's message that is not empty")
        is_trained = (*len(asked) * (False,), True)
        row = ChatRow(line=line, messages=(*asked, answer), tools=tools, is_trained=is_trained)
        documents.append(sequences(row, prompt)[-1])
    return Pair(chosen=documents[0], rejected=documents[1])


class PairStream:
    """Batches of pairs for ever, every epoch shuffled anew from (seed, epoch); its place is one number."""

    def __init__(self, pairs: Sequence[Pair], settings: DpoSettings) -> None:
        self._pairs, self._settings, self._taken = pairs, settings, 0

    def next(self) -> list[Pair]:
        """Mutates self."""
        chosen = []
        for _ in range(self._settings.pairs):
            epoch, place = divmod(self._taken, len(self._pairs))
            order = np.random.default_rng((self._settings.seed, epoch)).permutation(len(self._pairs))
            chosen.append(self._pairs[int(order[place])])
            self._taken += 1
        return chosen

    @property
    def state(self) -> dict[str, int]:
        return {"taken": self._taken}

    def restore(self, state: Mapping[str, int], /) -> None:
        """Mutates self."""
        self._taken = state["taken"]


def dpo_loss(chosen_B: Tensor, rejected_B: Tensor, ref_chosen_B: Tensor, ref_rejected_B: Tensor, beta: float) -> Tensor:
    """Mean of -log sigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected))), of whole answers' logprobs."""
    margin = (chosen_B - ref_chosen_B) - (rejected_B - ref_rejected_B)
    return -functional.logsigmoid(beta * margin).mean()


def train_dpo(
    model: HybridLM,
    reference: HybridLM,
    optimizer: Optimizer,
    schedule: Schedule,
    pairs: Sequence[Pair],
    *,
    folder: Path,
    settings: DpoSettings,
    on_step: Callable[[dict[str, float]], None] = lambda health: None,
) -> Progress:
    """Train to the end of the schedule, continuing from folder/latest.pt; health.jsonl: a line a step.

    Mutates    model, optimizer; folder
    Raises     InputError if folder holds a run on other pairs or with other settings
    """
    stream, latest = PairStream(pairs, settings), folder / "latest.pt"
    data = Documents.joined([document for pair in pairs for document in (pair.chosen, pair.rejected)]).sha256
    require_same_run(folder, {"data": data, "settings": asdict(settings)})
    progress = checkpoint.load(latest, model, optimizer, stream) if latest.exists() else Progress()
    log = HealthLog(folder / "health.jsonl")
    log.forget_after(progress.step)
    while progress.step < schedule.total_steps:
        batch = stream.next()
        logp_2B, counts = _answer_logprobs(model, batch)
        with torch.no_grad():
            ref_2B, _ = _answer_logprobs(reference, batch)
        (chosen, rejected), (ref_chosen, ref_rejected) = logp_2B.chunk(2), ref_2B.chunk(2)
        preference = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, settings.beta)
        imitation = -chosen.sum() / counts.chunk(2)[0].sum()
        (preference + settings.sft_weight * imitation).backward()  # type: ignore[no-untyped-call]
        grad_norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm))
        optimizer.step(schedule.scale(progress.step))
        margin = ((chosen - ref_chosen) - (rejected - ref_rejected)).detach()
        progress = Progress(step=progress.step + 1, num_tokens=progress.num_tokens + int(counts.sum()))
        health = {
            "step": progress.step, "loss": float(preference.detach()), "imitation": float(imitation.detach()),
            "margin": float(margin.mean()), "accuracy": float((margin > 0).double().mean()), "grad_norm": grad_norm,
        }  # fmt: skip
        _require_finite(health)
        log.add(health)
        on_step(health)
        if progress.step % settings.save_every_steps == 0 or progress.step == schedule.total_steps:
            checkpoint.save(latest, model, optimizer, stream, progress)
    return progress


def _require_finite(health: Mapping[str, float]) -> None:
    if not (math.isfinite(health["loss"]) and math.isfinite(health["grad_norm"])):
        raise TrainingError(
            f"[dpo] expected a finite loss and gradient, got {health['loss']} and {health['grad_norm']}; lower the "
            "learning rate and continue from the last saved step"
        )


@torch.no_grad()
def preferred_share(model: HybridLM, reference: HybridLM, pairs: Sequence[Pair], settings: DpoSettings) -> float:
    """Share of pairs in which model, against reference, gained more on the chosen answer than on the rejected one."""
    gained = 0
    for start in range(0, len(pairs), settings.pairs):
        batch = pairs[start : start + settings.pairs]
        chosen, rejected = (_answer_logprobs(model, batch)[0] - _answer_logprobs(reference, batch)[0]).chunk(2)
        gained += int((chosen > rejected).sum())
    return gained / len(pairs)


def _answer_logprobs(model: HybridLM, batch: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Summed log-probability of each answer, chosen before rejected, and its tokens: (2B,), (2B,)."""
    documents = [pair.chosen for pair in batch] + [pair.rejected for pair in batch]
    shape = (len(documents), max(map(len, documents)))
    tokens, counted = np.zeros(shape, np.int64), np.zeros(shape, np.bool_)
    for row, document in enumerate(documents):
        tokens[row, : len(document)], counted[row, : len(document)] = document.tokens, document.counted
    logp_BT, _ = token_logprobs(model, torch.from_numpy(tokens).to(model.device))
    mask_BT = torch.from_numpy(counted[:, 1:]).to(model.device)
    return torch.where(mask_BT, logp_BT, 0.0).sum(dim=1), mask_BT.sum(dim=1)
