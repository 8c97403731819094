"""What a training run will take, before it is started: operations, memory, hours here and on known GPUs.

Arithmetic on configs, and one short measurement of this machine; no torch, so that it can be read before that is
installed. Estimates: operations to a few per cent, memory and
hours to a factor of about 1.5. Start at training_cost.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import InputError

_CHUNK = 64  # tokens a chunk of the recurrence, as in model.mamba2
_BYTES_PER_PARAMETER = 16  # float32 weight, gradient, and AdamW's two moments
_ACTIVATION_NBYTES = 4
_LOGIT_PIECE = 512  # tokens, as in compress.distill


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """Dense bfloat16 peak and memory, from the makers' data sheets."""

    flops_per_s: float
    memory_nbytes: float


GPUS = {
    "RTX 4090": Gpu(flops_per_s=165e12, memory_nbytes=24e9),
    "A100 80GB": Gpu(flops_per_s=312e12, memory_nbytes=80e9),
    "H100 SXM": Gpu(flops_per_s=989e12, memory_nbytes=80e9),
    "B200": Gpu(flops_per_s=2250e12, memory_nbytes=180e9),
}
CPU_UTILISATION = 0.3  # of the rate of large products; small models reach less
GPU_UTILISATION = 0.35  # of peak; what public training runs of hybrids report is 0.3 to 0.45


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCost:
    """flops: of the whole run. state_nbytes: weights, gradients, optimiser; activation_nbytes: of one pass."""

    num_parameters: int
    num_tokens: int
    flops: float
    state_nbytes: float
    activation_nbytes: float

    @property
    def memory_nbytes(self) -> float:
        return self.state_nbytes + self.activation_nbytes

    def hours(self, flops_per_s: float) -> float:
        """On something that really does so many operations a second."""
        return self.flops / flops_per_s / 3600

    def gpu_hours(self, gpu: Gpu) -> float:
        """GPU-hours at GPU_UTILISATION of its peak; more GPUs share them."""
        return self.hours(gpu.flops_per_s * GPU_UTILISATION)

    def gpus_for_memory(self, gpu: Gpu) -> int:
        """So many share weights and optimiser state, each with a pass of its own."""
        room = gpu.memory_nbytes * 0.9 - self.activation_nbytes
        if room <= 0:
            raise InputError("[cost] one pass alone does not fit the GPU; take fewer or shorter rows, or recompute")
        return max(1, -(-int(self.state_nbytes) // int(room)))


def training_cost(
    config: HybridConfig,
    *,
    num_tokens: int,
    rows: int,
    row_size: int,
    teacher: HybridConfig | None = None,
    recompute: bool = False,
    kinds: Sequence[tuple[Sequence[HybridConfig], float]] = (),
) -> TrainingCost:
    """A run over num_tokens in passes of rows x row_size tokens, with the teacher's forward pass where there is one.

    kinds: of steps, each with the sub-models of config that it trains together, and its share of the steps. Without
    any, every step trains config itself.
    """
    if min(num_tokens, rows, row_size) < 1:
        raise InputError(f"[cost] expected positive sizes, got {num_tokens} tokens, {rows} rows of {row_size}")
    passes = 4 if recompute else 3  # forward, twice as much backward, and forward again
    kinds = kinds or (((config,), 1.0),)
    forward = sum(share * sum(forward_flops(each, row_size) for each in trained) for trained, share in kinds)
    per_token = passes * forward
    state = float(_BYTES_PER_PARAMETER * config.num_parameters)
    if teacher is not None:
        per_token += forward_flops(teacher, row_size)
        state += 4.0 * teacher.num_parameters
    return TrainingCost(
        num_parameters=config.num_parameters,
        num_tokens=num_tokens,
        flops=float(per_token * num_tokens),
        state_nbytes=state,
        activation_nbytes=max(
            _activation_nbytes(trained, rows * row_size, recompute, teacher is not None) for trained, _ in kinds
        ),
    )


def forward_flops(config: HybridConfig, row_size: int) -> float:
    """Operations a token of one forward pass over rows of row_size: two a weight, plus attention and recurrence."""
    return sum(_layer_flops(config, layer, row_size) for layer in config.layers) + 2.0 * (
        config.vocab_size * config.hidden_size
    )


def _layer_flops(config: HybridConfig, layer: LayerSpec, row_size: int) -> float:
    matrices = 2.0 * config.layer_parameters(layer)
    match layer:
        case MambaSpec():
            chunk = min(_CHUNK, row_size)
            inside = 2 * chunk * (layer.num_groups * layer.state_size + layer.inner_size)
            return matrices + inside + 4 * layer.inner_size * layer.state_size
        case AttentionSpec():
            return matrices + 2.0 * row_size * layer.query_size  # on average half a row is visible
        case MlpSpec():
            return matrices


def _activation_nbytes(trained: Sequence[HybridConfig], num_tokens: int, recompute: bool, is_distilled: bool) -> float:
    """Kept for the backward pass: the inputs of every operation, or of every layer and one layer's operations.

    Distillation forms the logits a piece at a time. Models that are trained together wait for each other.
    """
    kept = sum(_kept_a_token(config, recompute) for config in trained)
    vocab_size = max(config.vocab_size for config in trained)
    logits = 3 * vocab_size * (min(num_tokens, _LOGIT_PIECE) if is_distilled else num_tokens)
    return float(_ACTIVATION_NBYTES * (num_tokens * kept + logits))


def _kept_a_token(config: HybridConfig, recompute: bool) -> int:
    widths = [_kept_width(config, layer) for layer in config.layers]
    return len(widths) * config.hidden_size + max(widths) if recompute else sum(widths)


def _kept_width(config: HybridConfig, layer: LayerSpec) -> int:
    match layer:
        case MambaSpec():
            scan = layer.num_heads * (2 * min(_CHUNK, 64) + 2 * layer.state_size)
            return 3 * config.hidden_size + layer.in_proj_size + 3 * layer.conv_size + 5 * layer.inner_size + scan
        case AttentionSpec():
            return 3 * config.hidden_size + 3 * layer.query_size + 2 * layer.kv_size
        case MlpSpec():
            return 3 * config.hidden_size + 3 * layer.intermediate_size


def measured_flops_per_s(size: int = 768, seconds: float = 0.2) -> float:
    """float32 matrix products a second on this machine, times the share of it that training reaches here."""
    left, right = np.random.default_rng(0).standard_normal((2, size, size), dtype=np.float32)
    (left @ right).sum()
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        left @ right
        count += 1
    return CPU_UTILISATION * count * 2.0 * size**3 / (time.perf_counter() - started)
