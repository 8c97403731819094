"""What is trained on the grid is what is exported, to the bit, and it is closer to the teacher than rounding."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mambino.compress.distill import distillation_loss
from mambino.compress.qad import on_grid, quantised_distillation_loss
from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec
from mambino.errors import InputError
from mambino.export.gguf import export_gguf
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.formats.names import rows
from mambino.model.hybrid import HybridLM
from mambino.model.weights import load_weights, weights_of
from mambino.quant.plan import QuantPlan
from mambino.quant.types import TYPES
from mambino.train.data import Batch, Documents, MixedBatches
from mambino.train.optim import Optimizer, OptimSettings
from tiny_models import tiny_hybrid_config, tiny_weights

pytestmark = pytest.mark.torch

CONFIG = HybridConfig(
    architecture="nemotron_h",
    layers=(
        MambaSpec(num_heads=4, head_dim=16, state_size=8, num_groups=2, conv_kernel=4),
        MlpSpec(intermediate_size=64, activation="relu2"),
        AttentionSpec(num_heads=2, num_kv_heads=1, head_dim=32),
    ),
    hidden_size=32,
    vocab_size=61,
    norm_eps=1e-5,
    tie_embeddings=False,
    max_context=128,
    eos_token_ids=(2,),
)


def mixed(config: HybridConfig) -> QuantPlan:
    """As in a real file: another type for the head and the embeddings."""
    types = {row.own: TYPES["Q4_0" if len(row.shape) == 2 else "F32"] for row in rows(config)}
    return QuantPlan(name="mixed", types=types | dict.fromkeys(("lm_head.weight", "embeddings.weight"), TYPES["Q8_0"]))


def model() -> HybridLM:
    loaded = HybridLM(CONFIG)
    load_weights(loaded, tiny_weights(CONFIG))
    return loaded


def batches(count: int) -> list[Batch]:
    rng = np.random.default_rng(0)
    documents = Documents.of([rng.integers(61, size=30).tolist() for _ in range(20)])
    stream = MixedBatches({"x": documents}, lambda _: {"x": 1.0}, rows=2, row_size=32, seed=0)
    return [stream.batch(step) for step in range(count)]


def test_export_writes_the_integers_that_were_trained(tmp_path: Path) -> None:
    student, teacher = model(), model()
    loss_of = quantised_distillation_loss(teacher, CONFIG, mixed(CONFIG))
    optimizer = Optimizer.for_model(student, OptimSettings(learning_rate=1e-3, use_muon=False))
    for step, batch in enumerate(batches(3)):
        loss_of(student, batch, step).backward()
        optimizer.step(1.0)
    write_checkpoint_directory(tmp_path / "hf", CONFIG, weights_of(student).values())
    export_gguf(
        open_checkpoint(tmp_path / "hf"),
        tmp_path / "x.gguf",
        type_of=lambda row: mixed(CONFIG).types[row.own],
        name="x",
    )
    exported = HybridLM(CONFIG)
    load_weights(exported, open_checkpoint(tmp_path / "x.gguf").tensors("hf"))
    for name, stored in open_checkpoint(tmp_path / "x.gguf").stored.items():
        if len(stored.shape) == 2 and stored.type.name != "F32":
            trained = on_grid(student.state_dict()[name], stored.type)
            assert torch.equal(exported.state_dict()[name], trained), name
    batch = batches(1)[0]
    plain = float(distillation_loss(teacher)(exported, batch, 0).detach())
    assert plain == pytest.approx(float(loss_of(student, batch, 0).detach()), rel=1e-5)


def test_it_beats_plain_rounding() -> None:
    student, teacher, held_out = model(), model(), batches(30)[-1]
    loss_of = quantised_distillation_loss(teacher, CONFIG, mixed(CONFIG))
    rounded = float(loss_of(student, held_out, 0).detach())
    optimizer = Optimizer.for_model(student, OptimSettings(learning_rate=3e-4, use_muon=False, weight_decay=0.0))
    for step, batch in enumerate(batches(20)):
        loss_of(student, batch, step).backward()
        optimizer.step(1.0 - step / 20)
    assert float(loss_of(student, held_out, 0).detach()) < 0.9 * rounded


def test_gradients_pass_straight_through() -> None:
    student = model()
    quantised_distillation_loss(model(), CONFIG, mixed(CONFIG))(student, batches(1)[0], 0).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in student.parameters())


def test_rows_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InputError, match=r"rows of 37 do not divide into Q[48]_0 blocks of 32"):
        quantised_distillation_loss(model(), tiny_hybrid_config(), mixed(tiny_hybrid_config()))
