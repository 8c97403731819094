"""GRPO, top to bottom: try tasks in groups, judge, compare within the group, and make the better tokens likelier.

One step: draw tasks -> collect groups of trajectories -> advantages -> log-probabilities again, by the trainer ->
clipped loss -> one or more updates -> report, save. Read from grpo downwards; the maths is advantages and policy_loss.

Source: Shao et al. 2024, arXiv:2402.03300 (GRPO); Yu et al. 2025, arXiv:2503.14476 (asymmetric clip, token-level loss,
over-long masking); Schulman, joschu.net/blog/kl-approx.html (k3); settings of Nemotron 3 Nano's technical report
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from mambino.chat.prompt import PromptEncoder
from mambino.errors import InputError, TrainingError
from mambino.lm import LanguageModel
from mambino.model.hybrid import HybridLM
from mambino.posttrain.collecting import Collect, divided
from mambino.posttrain.health import HealthLog, mismatch_health, rollout_health
from mambino.posttrain.mixture import TaskMixture
from mambino.posttrain.rollout import Attempt, Task, Trajectory, collect
from mambino.train import checkpoint
from mambino.train.checkpoint import Progress
from mambino.train.optim import Optimizer, Schedule
from mambino.train.ranks import Ranks
from mambino.train.same_run import require_same_run

# Letters: B trajectories, T tokens (position t predicts token t + 1), V vocabulary.

_ALONE = Ranks()
_LOGIT_TOKENS = 1024  # whose logits exist at a time
Policy = Callable[[HybridLM], LanguageModel]  # the model that samples, with the weights that the trainer has now
Rollouts = Callable[[HybridLM], Collect]  # who tries tasks with those weights


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpoSettings:
    """prompts groups of group_size trajectories a step, max_tokens sampled in each.

    clip_low, clip_high  the ratio to the old policy counts from 1 - clip_low to 1 + clip_high
    kl_weight            of the k3 divergence from the reference; raised from stage to stage
    normalise            divide a group's advantages by the spread of the other rewards
    importance_cap       most that a token's weight trainer / sampler may be; under 1 it is what it is
    updates              optimiser steps on one batch; 1 is fully on-policy
    tries                how often groups without a difference are replaced by new ones
    thinking_share       of the prompts with thinking on, the rest off; None leaves the template's default
    row_tokens           tokens of a forward pass (padding included): memory
    """

    prompts: int = 16
    group_size: int = 16
    max_tokens: int = 512
    clip_low: float = 0.2
    clip_high: float = 0.28
    kl_weight: float = 0.0
    normalise: bool = True
    mask_overlong: bool = True
    importance_cap: float = 2.0
    updates: int = 1
    tries: int = 2
    thinking_share: float | None = 0.5
    clip_norm: float = 1.0
    row_tokens: int = 16384
    slots: int = 64
    save_every_steps: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        whole = (self.prompts, self.group_size - 1, self.max_tokens, self.updates, self.row_tokens, self.slots)
        if min(whole) < 1 or self.tries < 0 or min(self.clip_low, self.clip_high, self.importance_cap) <= 0:
            raise InputError(f"[grpo] expected positive sizes and at least two trajectories a group, got {self}")


def grpo(
    model: HybridLM,
    optimizer: Optimizer,
    schedule: Schedule,
    mixture: TaskMixture,
    prompt: PromptEncoder,
    policy: Policy,
    *,
    folder: Path,
    settings: GrpoSettings,
    reference: HybridLM | None = None,
    rollouts: Rollouts | None = None,
    ranks: Ranks = _ALONE,
    on_step: Callable[[dict[str, object]], None] = lambda health: None,
) -> Progress:
    """Train to the end of the schedule, continuing from folder/latest.pt if there is one; health.jsonl: a line a step.

    rollouts   who tries the tasks (Ray workers, for instance); None: this process, with policy
    ranks      the processes of torchrun: each tries its part of the tasks and has its part of the gradient, all hold
               the whole model and make the same step; the first writes
    Mutates    model, optimizer, mixture; folder
    Raises     TrainingError when a loss is not finite; InputError for a KL weight without a reference, or a folder of
               another run
    """
    if settings.kl_weight and reference is None:
        raise InputError("[grpo] kl_weight needs a reference: a copy of the model that the stage began with")
    latest = folder / "latest.pt"
    if ranks.is_first:
        require_same_run(folder, {"data": mixture.sha256, "settings": asdict(settings)})
    progress = checkpoint.load(latest, model, optimizer, mixture) if latest.exists() else Progress()
    log = HealthLog(folder / "health.jsonl")
    ranks.total(0.0)  # all have read before the first writes
    if ranks.is_first:
        log.forget_after(progress.step)
    while progress.step < schedule.total_steps:
        step, started = progress.step, time.perf_counter()
        collect_now = rollouts(model) if rollouts else _local(policy(model), prompt, settings)
        groups, counts = collect_groups(divided(collect_now, ranks), mixture, step, settings)
        health: dict[str, object] = {"step": step + 1, **counts}
        if groups:
            health |= _update(model, optimizer, schedule.scale(step), groups, reference, settings, ranks)
        health |= {"kl_weight": settings.kl_weight, "seconds": round(time.perf_counter() - started, 2)}
        sampled = sum(one.num_sampled for group in groups for one in group)
        progress = Progress(step=step + 1, num_tokens=progress.num_tokens + sampled)
        if ranks.is_first:
            log.add(health)
            on_step(health)
        if progress.step % settings.save_every_steps == 0 or progress.step == schedule.total_steps:
            if ranks.is_first:
                checkpoint.save(latest, model, optimizer, mixture, progress)
            ranks.total(0.0)  # nobody goes on before it is there
    return progress


def _local(model: LanguageModel, prompt: PromptEncoder, settings: GrpoSettings) -> Collect:
    return partial(collect, model, prompt, max_tokens=settings.max_tokens, slots=settings.slots)


def collect_groups(
    collect_now: Collect, mixture: TaskMixture, step: int, settings: GrpoSettings
) -> tuple[list[list[Trajectory]], dict[str, object]]:
    """Groups whose rewards differ, and the health of all that was tried. Mutates mixture (pass rates)."""
    groups: list[list[Trajectory]] = []
    tried: list[Trajectory] = []
    without = 0
    for attempt in range(settings.tries + 1):
        tasks = mixture.draw(step, settings.prompts - len(groups), attempt=attempt)
        trajectories = collect_now(_attempts(tasks, step, attempt, settings))
        for index, task in enumerate(tasks):
            group = trajectories[index * settings.group_size : (index + 1) * settings.group_size]
            rewards = [one.reward.value for one in group if one.reward.value is not None]
            if rewards:
                mixture.note(task, sum(rewards) / len(rewards))
            if len(set(rewards)) > 1:
                groups.append(group)
            else:
                without += 1
        tried += trajectories
        if len(groups) >= settings.prompts:
            break
    return groups, rollout_health(tried) | {"groups": len(groups), "groups_without_difference": without}


def _attempts(tasks: Sequence[Task], step: int, attempt: int, settings: GrpoSettings) -> list[Attempt]:
    share = settings.thinking_share
    thinking = [None if share is None else (index + 1) * share % 1 < share for index in range(len(tasks))]
    return [
        Attempt(task=task, is_thinking=thinking[index], seed=(settings.seed, step, attempt, index, sample))
        for index, task in enumerate(tasks)
        for sample in range(settings.group_size)
    ]


def advantages(rewards: Sequence[float | None], *, normalise: bool) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Each reward less the mean of the others (leave-one-out), over the others' unbiased spread; 0 where unscored.

    Where the others are all equal the spread of the whole group stands in: one right answer among wrong ones then
    weighs as much as they do together.
    """
    result = np.zeros(len(rewards))
    known = [index for index, reward in enumerate(rewards) if reward is not None]
    values = np.array([rewards[index] for index in known], dtype=np.float64)
    for place, index in enumerate(known if len(known) > 1 else ()):
        others = np.delete(values, place)
        result[index] = values[place] - others.mean()
        if normalise:
            spread = others.std(ddof=1) if len(others) > 1 else 0.0
            result[index] /= spread if spread > 1e-6 else max(1e-6, values.std(ddof=1))
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoss:
    """loss () is a sum over tokens divided by num_tokens; the rest are sums over its tokens, for the report."""

    loss: Tensor
    clipped: float
    kl: float


def policy_loss(
    logp_BT: Tensor, old_BT: Tensor, sampler_BT: Tensor, reference_BT: Tensor | None, advantage_B: Tensor,
    mask_BT: Tensor, num_tokens: int, settings: GrpoSettings,
) -> PolicyLoss:  # fmt: skip
    """-1/N sum of w * min(r * A, clip(r) * A) - kl_weight * k3, over the tokens of the mask.

    r = exp(logp - old); w = min(exp(old - sampler), importance_cap) corrects for a sampler that is not the trainer;
    k3 = exp(d) - d - 1 with d = reference - logp. N counts the tokens of the whole batch: every token weighs the same.
    """
    weight = (old_BT - sampler_BT).exp().clamp(max=settings.importance_cap)
    ratio = (logp_BT - old_BT).exp()
    clipped = ratio.clamp(1 - settings.clip_low, 1 + settings.clip_high)
    gain, clipped_gain = ratio * advantage_B[:, None], clipped * advantage_B[:, None]
    token_loss = -weight * torch.minimum(gain, clipped_gain)
    kl = torch.zeros_like(logp_BT)
    if reference_BT is not None:
        behind = reference_BT - logp_BT
        kl = behind.exp() - behind - 1
    total = torch.where(mask_BT, token_loss + settings.kl_weight * kl, 0.0).sum() / num_tokens
    return PolicyLoss(
        loss=total,
        clipped=float((mask_BT & (clipped_gain < gain)).sum()),
        kl=float(torch.where(mask_BT, kl, 0.0).sum().detach()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """A forward pass's worth of trajectories, padded: position t of logp is about token t + 1."""

    tokens_BT: Tensor
    mask_BT: Tensor
    sampler_BT: Tensor
    advantage_B: Tensor


def _rows(groups: Sequence[Sequence[Trajectory]], settings: GrpoSettings, device: torch.device) -> list[_Rows]:
    """All trajectories that teach something, longest first, in passes of row_tokens."""
    used: list[tuple[float, Trajectory]] = []
    for group in groups:
        worth = advantages([one.reward.value for one in group], normalise=settings.normalise)
        for advantage, one in zip(worth, group, strict=True):
            is_cut = settings.mask_overlong and one.finish == "length"
            if not is_cut and one.reward.value is not None:
                used.append((float(advantage), one))
    used.sort(key=lambda item: -len(item[1].tokens))
    rows: list[_Rows] = []
    while used:
        width = len(used[0][1].tokens)
        count = max(1, settings.row_tokens // width)
        part, used = used[:count], used[count:]
        shape = (len(part), width)
        tokens, mask, sampler = np.zeros(shape, np.int64), np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
        for place, (_, one) in enumerate(part):
            tokens[place, : len(one.tokens)] = one.tokens
            mask[place, : len(one.tokens)] = one.is_sampled
            sampler[place, : len(one.tokens)] = one.logprobs
        rows.append(
            _Rows(
                tokens_BT=torch.from_numpy(tokens).to(device),
                mask_BT=torch.from_numpy(mask[:, 1:]).to(device),
                sampler_BT=torch.from_numpy(sampler[:, 1:]).to(device),
                advantage_B=torch.tensor([worth for worth, _ in part], dtype=torch.float32, device=device),
            )
        )
    return rows


def token_logprobs(model: HybridLM, tokens_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of every token but the first, (B, T - 1), and the entropy of what each was drawn from.

    Logits are formed a piece at a time, and again for the gradient: all at once they would be the largest tensor.
    """
    hidden_BTD, targets_BT = model.hidden(tokens_BT)[:, :-1], tokens_BT[:, 1:]
    size = max(1, _LOGIT_TOKENS // len(tokens_BT))

    def piece(hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logprobs = model.head(hidden).float().log_softmax(dim=-1)
        with torch.no_grad():
            entropy = -(logprobs.exp() * logprobs).sum(dim=-1)
        return logprobs.gather(-1, targets[..., None]).squeeze(-1), entropy

    parts = [
        recomputed(piece, hidden, targets, use_reentrant=False)
        for hidden, targets in zip(
            torch.split(hidden_BTD, size, dim=1), torch.split(targets_BT, size, dim=1), strict=True
        )
    ]
    return torch.cat([logp for logp, _ in parts], dim=1), torch.cat([entropy for _, entropy in parts], dim=1)


def _update(
    model: HybridLM, optimizer: Optimizer, scale: float, groups: Sequence[Sequence[Trajectory]],
    reference: HybridLM | None, settings: GrpoSettings, ranks: Ranks,
) -> dict[str, object]:  # fmt: skip
    """settings.updates optimiser steps on one batch; its health. Mutates model and optimizer."""
    everything = _rows(groups, settings, model.device)
    num_tokens = int(sum(int(row.mask_BT.sum()) for row in everything))
    rows = everything[ranks.rank :: ranks.size]
    if num_tokens == 0:
        return {"trained_tokens": 0}
    with torch.no_grad():
        old = [token_logprobs(model, row.tokens_BT) for row in rows]
        wanted = reference if settings.kl_weight else None
        references = [None if wanted is None else token_logprobs(wanted, row.tokens_BT)[0] for row in rows]
    apart = [(logp - row.sampler_BT)[row.mask_BT].double() for row, (logp, _) in zip(rows, old, strict=True)]
    health = mismatch_health(torch.cat(_of_all(apart, ranks)), settings.importance_cap)
    entropy = sum(float(one[row.mask_BT].sum()) for row, (_, one) in zip(rows, old, strict=True))
    health["entropy"] = ranks.total(entropy) / num_tokens
    clipped = kl = loss = grad_norm = 0.0
    for _ in range(settings.updates):
        clipped = kl = loss = 0.0
        for row, (old_logp, _), reference_logp in zip(rows, old, references, strict=True):
            logp, _ = token_logprobs(model, row.tokens_BT)
            part = policy_loss(
                logp, old_logp, row.sampler_BT, reference_logp, row.advantage_B, row.mask_BT, num_tokens, settings
            )
            part.loss.backward()  # type: ignore[no-untyped-call]
            loss, clipped, kl = loss + float(part.loss.detach()), clipped + part.clipped, kl + part.kl
        loss, clipped, kl = (ranks.total(value) for value in (loss, clipped, kl))
        _sum_gradients(model, ranks)
        grad_norm = float(nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm))
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            optimizer.clear()
            raise TrainingError(
                f"[grpo] expected a finite loss and gradient, got {loss} and {grad_norm}; lower the learning rate and "
                "continue from the last saved step"
            )
        optimizer.step(scale)
    return health | {
        "loss": loss, "grad_norm": grad_norm, "clip_share": clipped / num_tokens, "kl": kl / num_tokens,
        "trained_tokens": num_tokens, "learning_rate_scale": scale,
    }  # fmt: skip


def _of_all(values: list[Tensor], ranks: Ranks) -> list[Tensor]:
    """Everybody's, on the CPU."""
    own = [value.cpu() for value in values]
    if ranks.size == 1:
        return own
    parts: list[list[Tensor]] = [[] for _ in range(ranks.size)]
    torch.distributed.all_gather_object(parts, own)
    return [value for part in parts for value in part]


def _sum_gradients(model: HybridLM, ranks: Ranks) -> None:
    """Over all processes: each had its rows, of a loss that is divided by everybody's tokens. Mutates model."""
    if ranks.size == 1:
        return
    for parameter in model.parameters():
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)
