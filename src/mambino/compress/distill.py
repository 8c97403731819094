"""Distillation: a student learns the teacher's whole distribution, forward KL(teacher || student).

Logits are formed a piece at a time (tokens x vocabulary), so their memory does not grow with the batch. Teacher and
student need one vocabulary, nothing else. Start at distillation_loss; stored teachers are in stored_logits.py.
"""

from typing import Any

import torch
from torch import Tensor

from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.data import IGNORED, Batch
from mambino.train.loop import LossFunction
from mambino.train.placed import placed

# Letters: N tokens, D student width, E teacher width, V vocabulary.

_TOKENS_PER_PIECE = 512
_VOCABULARY_PER_PIECE = 32_768


def check_teacher(teacher: HybridConfig, student: HybridConfig) -> None:
    """Raises InputError unless both speak of the same ids."""
    for name, ours, theirs in (
        ("vocab_size", student.vocab_size, teacher.vocab_size),
        ("bos_token_id", student.bos_token_id, teacher.bos_token_id),
    ):
        if ours != theirs:
            raise InputError(
                f"[distill] {name}: the teacher has {theirs}, the student {ours}; distillation needs one tokenizer"
            )


def distillation_loss(teacher: HybridLM, *, target_weight: float = 0.0) -> LossFunction:
    """KL to a frozen teacher, mixed with target_weight of the next-token loss; a mean over the targets that count."""

    def loss(model: HybridLM, batch: Batch, step: int) -> Tensor:
        check_teacher(teacher.config, model.config)
        place = placed(batch, model)
        with torch.no_grad():
            target_hidden = teacher.hidden(place.tokens, resets=place.resets)
        hidden = model.hidden(place.tokens, resets=place.resets)
        return kl_loss(
            hidden, head_of(model), target_hidden, head_of(teacher).detach(), place.targets, target_weight=target_weight
        )

    return loss


def head_of(model: HybridLM) -> Tensor:
    """The output matrix (V, D), tied or not."""
    matrix: Tensor = model.embeddings.weight if model.config.tie_embeddings else model.lm_head.weight
    return matrix


def kl_loss(
    hidden_BTD: Tensor,
    head_VD: Tensor,
    teacher_hidden_BTE: Tensor,
    teacher_head_VE: Tensor,
    targets_BT: Tensor,
    *,
    target_weight: float = 0.0,
    tokens_per_piece: int = _TOKENS_PER_PIECE,
    vocabulary_per_piece: int = _VOCABULARY_PER_PIECE,
) -> Tensor:
    """(1 - w) KL(teacher || student) + w (-log student(target)), mean over targets that are not IGNORED.

    The gradient is formed in the forward pass, where the logits are; it reaches hidden and head only.

    Shapes     hidden (B, T, D), head (V, D), teacher (B, T, E) and (V, E), targets (B, T) -> ()
    Pinned by  tests/compress/test_distill.py::test_pieces_equal_the_plain_formula
    """
    counted = targets_BT != IGNORED
    rows = (hidden_BTD[counted], head_VD, teacher_hidden_BTE[counted], teacher_head_VE, targets_BT[counted])
    total: Tensor = _PieceByPiece.apply(*rows, target_weight, tokens_per_piece, vocabulary_per_piece)  # type: ignore[no-untyped-call]
    return total / counted.sum().clamp_min(1)


class _PieceByPiece(torch.autograd.Function):
    """The sum over tokens, with its gradient computed on the way."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        head: Tensor,
        teacher_hidden: Tensor,
        teacher_head: Tensor,
        targets: Tensor,
        target_weight: float,
        token_piece: int,
        vocabulary_piece: int,
    ) -> Tensor:
        exact = torch.promote_types(hidden.dtype, torch.float32)
        grad_hidden = torch.zeros_like(hidden, dtype=exact)
        grad_head = torch.zeros_like(head, dtype=exact)
        total = hidden.new_zeros((), dtype=exact)
        for start in range(0, len(hidden), token_piece):
            place = slice(start, start + token_piece)
            student = _Normalised(hidden[place], head, vocabulary_piece)
            teacher = _Normalised(teacher_hidden[place], teacher_head, vocabulary_piece)
            for first in range(0, len(head), vocabulary_piece):
                words = slice(first, first + vocabulary_piece)
                log_q, log_p = student.log_probabilities(words), teacher.log_probabilities(words)
                p = log_p.exp()
                is_target = targets[place, None] == torch.arange(first, first + log_q.shape[1], device=targets.device)
                wanted = (1.0 - target_weight) * p + target_weight * is_target.to(exact)
                total += (1.0 - target_weight) * (p * (log_p - log_q)).sum()
                total -= target_weight * log_q[is_target].sum()
                grad_logits = log_q.exp() - wanted
                grad_hidden[place] += grad_logits @ head[words].to(exact)
                grad_head[words] += grad_logits.mT @ hidden[place].to(exact)
        ctx.save_for_backward(grad_hidden.to(hidden.dtype), grad_head.to(head.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_head = ctx.saved_tensors
        return grad_hidden * grads[0], grad_head * grads[0], None, None, None, None, None, None


class _Normalised:
    """Log-probabilities of some tokens, any piece of the vocabulary at a time."""

    def __init__(self, hidden: Tensor, head: Tensor, vocabulary_piece: int) -> None:
        self._hidden, self._head = hidden, head
        # What fits one piece need not be formed twice.
        self._only = self._logits(slice(0, len(head))) if len(head) <= vocabulary_piece else None
        words = [slice(start, start + vocabulary_piece) for start in range(0, len(head), vocabulary_piece)]
        pieces = (self._logits(piece) if self._only is None else self._only for piece in words)
        sums = torch.stack([logits.logsumexp(dim=-1) for logits in pieces])
        self._log_total = sums.logsumexp(dim=0)[:, None]

    def log_probabilities(self, words: slice) -> Tensor:
        return (self._logits(words) if self._only is None else self._only) - self._log_total

    def _logits(self, words: slice) -> Tensor:
        logits = self._hidden @ self._head[words].mT
        return logits.to(torch.promote_types(logits.dtype, torch.float32))
