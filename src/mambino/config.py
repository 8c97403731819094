"""A model is a frozen list of layer specs: what each layer is and how large.

Knows nothing of files or tensors; formats/ reads and writes these values. Start at HybridConfig.
A layer is norm + one mixer + residual. A llama block is therefore two layers (attention, MLP), and an
uneven (pruned) model is just another list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mambino.errors import ConfigError

Activation = Literal["relu2", "swiglu"]
Architecture = Literal["nemotron_h", "llama"]


def _require_positive(spec: object, *names: str) -> None:
    for name in names:
        size = getattr(spec, name)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ConfigError(f"[config] {type(spec).__name__}.{name}: expected a positive integer, got {size!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MambaSpec:
    """A Mamba-2 mixer: H heads of size P, state size N, G groups of B and C, causal conv of width W."""

    num_heads: int
    head_dim: int
    state_size: int
    num_groups: int
    conv_kernel: int
    time_step_limit: tuple[float, float] = (0.0, float("inf"))

    def __post_init__(self) -> None:
        _require_positive(self, "num_heads", "head_dim", "state_size", "num_groups", "conv_kernel")
        if self.num_heads % self.num_groups:
            raise ConfigError(
                f"[config] Mamba heads must divide evenly into B/C groups: got {self.num_heads} heads "
                f"in {self.num_groups} groups"
            )
        low, high = self.time_step_limit
        if not 0.0 <= low < high:
            raise ConfigError(f"[config] time_step_limit: expected 0 <= low < high, got ({low}, {high})")

    @property
    def inner_size(self) -> int:
        """Width of x, z and y: H * P."""
        return self.num_heads * self.head_dim

    @property
    def conv_size(self) -> int:
        """Channels through the conv, in the order x | B | C: H*P + 2*G*N."""
        return self.inner_size + 2 * self.num_groups * self.state_size

    @property
    def in_proj_rows(self) -> tuple[int, ...]:
        """Rows of the matrices that in_proj stacks: z, x, B, C, dt."""
        shared = self.num_groups * self.state_size
        return self.inner_size, self.inner_size, shared, shared, self.num_heads

    @property
    def in_proj_size(self) -> int:
        """Rows of in_proj, in the order z | x | B | C | dt."""
        return sum(self.in_proj_rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionSpec:
    """Grouped-query attention: H query heads share K key/value heads. rope_theta None means no positions (NoPE)."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    rope_theta: float | None = None

    def __post_init__(self) -> None:
        _require_positive(self, "num_heads", "num_kv_heads", "head_dim")
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"[config] query heads must divide evenly over key/value heads: got {self.num_heads} over "
                f"{self.num_kv_heads}"
            )
        if self.rope_theta is not None and (self.rope_theta <= 0 or self.head_dim % 2):
            raise ConfigError(
                f"[config] RoPE needs theta > 0 and an even head_dim, got {self.rope_theta} and {self.head_dim}"
            )

    @property
    def query_size(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        return self.num_kv_heads * self.head_dim


@dataclass(frozen=True, slots=True, kw_only=True)
class MlpSpec:
    """relu2: down(max(up(x), 0)^2).   swiglu: down(silu(gate(x)) * up(x))."""

    intermediate_size: int
    activation: Activation

    def __post_init__(self) -> None:
        _require_positive(self, "intermediate_size")
        if self.activation not in ("relu2", "swiglu"):
            raise ConfigError(f"[config] MLP activation: expected relu2 or swiglu, got {self.activation!r}")


LayerSpec = MambaSpec | AttentionSpec | MlpSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridConfig:
    """A complete model description; index i of layers is layer i everywhere (weights, state, plan).

    max_context is what the checkpoint was trained for, in tokens. architecture names the tensor-name table
    (formats.names), never a behaviour: behaviour is stated by the layer specs.
    """

    architecture: Architecture
    layers: tuple[LayerSpec, ...]
    hidden_size: int
    vocab_size: int
    norm_eps: float
    tie_embeddings: bool
    max_context: int
    bos_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _require_positive(self, "hidden_size", "vocab_size", "max_context")
        if self.architecture not in ("nemotron_h", "llama"):
            raise ConfigError(f"[config] architecture: expected nemotron_h or llama, got {self.architecture!r}")
        if not self.layers:
            raise ConfigError("[config] layers: expected at least one layer, got none")
        if not 0.0 < self.norm_eps < 1.0:
            raise ConfigError(f"[config] norm_eps: expected a small positive number, got {self.norm_eps}")
        for token in (*self.eos_token_ids, *(() if self.bos_token_id is None else (self.bos_token_id,))):
            if not 0 <= token < self.vocab_size:
                raise ConfigError(f"[config] special token id {token} is outside the vocabulary of {self.vocab_size}")

    @property
    def pattern(self) -> str:
        """One letter a layer: M Mamba, * attention, - MLP."""
        return "".join({MambaSpec: "M", AttentionSpec: "*", MlpSpec: "-"}[type(layer)] for layer in self.layers)

    @property
    def num_parameters(self) -> int:
        """Exact count of stored weights, tied embeddings counted once."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_embeddings else 2)
        return embeddings + self.hidden_size + sum(self.layer_parameters(layer) for layer in self.layers)

    def layer_parameters(self, layer: LayerSpec) -> int:
        """Weights of one layer, its input norm included."""
        hidden = self.hidden_size
        match layer:
            case MambaSpec():
                conv = layer.conv_size * (layer.conv_kernel + 1)
                per_head = 3 * layer.num_heads  # A_log, D, dt_bias
                mixer = layer.in_proj_size * hidden + conv + per_head + layer.inner_size * (1 + hidden)
            case AttentionSpec():
                mixer = 2 * hidden * (layer.query_size + layer.kv_size)
            case MlpSpec():
                mixer = hidden * layer.intermediate_size * (3 if layer.activation == "swiglu" else 2)
        return hidden + mixer

    def state_nbytes(self, max_tokens: int, *, kv_bytes: int = 2) -> int:
        """Bytes one sequence holds: float32 conv and SSM state (constant), keys and values (a token).

        kv_bytes: bytes of one stored key or value element; 1 is q8, with a float16 scale for every 32 of a head.
        """
        return sum(_layer_state_nbytes(layer, max_tokens, kv_bytes) for layer in self.layers)


def _layer_state_nbytes(layer: LayerSpec, max_tokens: int, kv_bytes: int) -> int:
    match layer:
        case MambaSpec():
            conv = (layer.conv_kernel - 1) * layer.conv_size
            return 4 * (conv + layer.inner_size * layer.state_size)
        case AttentionSpec():
            scales = 2 * layer.num_kv_heads * -(-layer.head_dim // 32) if kv_bytes == 1 else 0
            return 2 * (layer.kv_size * kv_bytes + scales) * max_tokens
        case MlpSpec():
            return 0


def layers_from_pattern(
    pattern: str | Sequence[str], *, mamba: MambaSpec | None, attention: AttentionSpec | None, mlp: MlpSpec | None
) -> tuple[LayerSpec, ...]:
    """Even layers from a pattern such as "M-M*": each letter becomes the one spec of its kind.

    Raises     ConfigError for an unknown letter, or a letter whose spec is None
    """
    kinds: dict[str, LayerSpec | None] = {"M": mamba, "*": attention, "-": mlp}
    layers: list[LayerSpec] = []
    for index, letter in enumerate(pattern):
        spec = kinds.get(letter)
        if spec is None:
            raise ConfigError(
                f"[config] layer {index}: letter {letter!r} of the pattern has no spec; known letters are M (Mamba), "
                "* (attention), - (MLP); E (mixture of experts) is not supported"
            )
        layers.append(spec)
    return tuple(layers)
