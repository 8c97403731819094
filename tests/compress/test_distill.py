"""Distillation in pieces is the plain formula; stored teachers are honest about what they saw."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from compress_models import cuttable_config, strong_model
from mambino.compress.distill import distillation_loss, kl_loss
from mambino.compress.stored_logits import store_logits, stored_distillation_loss, top_kl
from mambino.errors import FormatError, InputError
from mambino.model.hybrid import HybridLM
from mambino.train.data import IGNORED, Documents, MixedBatches
from tiny_models import tiny_hybrid_config

pytestmark = pytest.mark.torch

ABOUT = {"teacher": "ab", "seed": 0}
FLOAT64_TOLERANCE = 1e-10
HALF_TOLERANCE = 2e-3  # log-probabilities of size ten in float16


def stream() -> MixedBatches:
    generator = torch.Generator().manual_seed(3)
    documents = Documents.of([torch.randint(61, (18,), generator=generator).tolist() for _ in range(8)])
    return MixedBatches({"x": documents}, lambda _: {"x": 1.0}, rows=2, row_size=30, seed=0)


def random_case() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 9, 5), (23, 5), (2, 9, 7), (23, 7))
    hidden, head, teacher_hidden, teacher_head = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    targets = torch.randint(23, (2, 9), generator=generator)
    targets[0, 3:5] = IGNORED
    return hidden.requires_grad_(), head.requires_grad_(), teacher_hidden, teacher_head, targets


@pytest.mark.parametrize("target_weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("tokens", "words"), [(100, 100), (4, 100), (100, 8), (1, 1), (5, 7)])
def test_pieces_equal_the_plain_formula(target_weight: float, tokens: int, words: int) -> None:
    hidden, head, teacher_hidden, teacher_head, targets = random_case()
    log_q = functional.log_softmax(hidden @ head.mT, dim=-1)
    log_p = functional.log_softmax(teacher_hidden @ teacher_head.mT, dim=-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)
    entropy = functional.nll_loss(log_q.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    counted = targets != IGNORED
    plain = ((1 - target_weight) * kl[counted].sum() + target_weight * entropy) / counted.sum()
    pieces = kl_loss(
        hidden, head, teacher_hidden, teacher_head, targets,
        target_weight=target_weight, tokens_per_piece=tokens, vocabulary_per_piece=words,
    )  # fmt: skip
    assert float(pieces.detach()) == pytest.approx(float(plain.detach()), abs=FLOAT64_TOLERANCE)
    expected, got = (torch.autograd.grad(3 * loss, [hidden, head]) for loss in (plain, pieces))
    for wanted, have in zip(expected, got, strict=True):
        assert torch.allclose(have, wanted, rtol=0, atol=FLOAT64_TOLERANCE)


def test_a_student_comes_closer_to_its_teacher() -> None:
    teacher, batch = strong_model().float(), stream().batch(0)
    student = HybridLM(cuttable_config(), generator=torch.Generator().manual_seed(1))
    optimizer, loss_of = torch.optim.AdamW(student.parameters(), lr=1e-2), distillation_loss(teacher)
    losses = []
    for step in range(8):
        loss = loss_of(student, batch, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert float(distillation_loss(teacher)(teacher, batch, 0).detach()) == pytest.approx(0.0, abs=1e-5)


def test_another_vocabulary_is_refused() -> None:
    student = HybridLM(tiny_hybrid_config())
    with pytest.raises(InputError, match=r"vocab_size: the teacher has 61, the student 101; .* one tokenizer"):
        distillation_loss(strong_model())(student, stream().batch(0), 0)


def test_all_tokens_but_one_kept_is_the_full_divergence() -> None:
    generator = torch.Generator().manual_seed(2)
    p, q = (torch.randn(4, 11, generator=generator).log_softmax(-1) for _ in range(2))
    best = p.topk(10)
    full = (p.exp() * (p - q)).sum(-1)
    assert torch.allclose(top_kl(q, best.indices, best.values), full, atol=1e-5)
    few = p.topk(3)
    assert (top_kl(q, few.indices, few.values) <= full + 1e-6).all()


def test_stored_logits_teach_like_the_teacher(tmp_path: Path) -> None:
    teacher = strong_model().float()
    student = HybridLM(cuttable_config(), generator=torch.Generator().manual_seed(1))
    store_logits(teacher, stream(), tmp_path / "logits", num_steps=2, kept=60, about=ABOUT)
    stored, live, batches = stored_distillation_loss(tmp_path / "logits", ABOUT), distillation_loss(teacher), stream()
    for step in range(2):
        batch = batches.batch(step)
        live_loss = float(live(student, batch, step).detach())
        assert float(stored(student, batch, step).detach()) == pytest.approx(live_loss, abs=HALF_TOLERANCE)
        parts = [(part, part.num_targets / batch.num_targets) for part in batch.split(2)]
        in_parts = sum(float(stored(student, part, step).detach()) * share for part, share in parts)
        assert in_parts == pytest.approx(live_loss, abs=HALF_TOLERANCE)
    with pytest.raises(InputError, match="stored for 2 other batches"):
        stored(student, batches.batch(2), 2)
    with pytest.raises(InputError, match="stored for 2 other batches"):
        stored(student, batches.batch(3), 0)
    with pytest.raises(InputError, match="is not empty"):
        store_logits(teacher, stream(), tmp_path / "logits", num_steps=1, kept=2, about=ABOUT)
    with pytest.raises(InputError, match="expected 1 to 60, got 61"):
        store_logits(teacher, stream(), tmp_path / "more", num_steps=1, kept=61, about=ABOUT)
    (tmp_path / "logits" / "ids.npy").write_bytes(b"junk")
    with pytest.raises(FormatError, match="cannot be read"):
        stored_distillation_loss(tmp_path / "logits", ABOUT)


def test_a_store_says_who_spoke_and_to_what(tmp_path: Path) -> None:
    store_logits(strong_model(), stream(), tmp_path / "logits", num_steps=1, kept=5, about=ABOUT)
    stored_distillation_loss(tmp_path / "logits", ABOUT)
    for other, name in (({"teacher": "cd"}, "teacher"), ({"teacher": "cd", "seed": 1}, "teacher, seed")):
        with pytest.raises(InputError, match=f"logits: was stored with another {name}; store again in a fresh folder"):
            stored_distillation_loss(tmp_path / "logits", {**ABOUT, **other})
