"""A whole hybrid model in plain NumPy, float64, token by token: the second oracle of every forward pass.

Written from the published equations alone; shares no code with model/ or native/. Start at logits.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec

Array = NDArray[np.float64]


def logits(config: HybridConfig, weights: Mapping[str, Array], tokens: Sequence[int]) -> Array:
    """Logits after every token, (T, V). weights: own names, "hf" form."""
    hidden = [weights["embeddings.weight"][token] for token in tokens]
    for index, layer in enumerate(config.layers):
        prefix = f"layers.{index}."
        mixer = {name.removeprefix(f"{prefix}mixer."): value for name, value in weights.items() if prefix in name}
        normed = [rms_norm(h, weights[f"{prefix}norm.weight"], config.norm_eps) for h in hidden]
        match layer:
            case MambaSpec():
                mixed = mamba2(layer, mixer, normed, config.norm_eps)
            case AttentionSpec():
                mixed = attention(layer, mixer, normed)
            case MlpSpec():
                mixed = [mlp(layer, mixer, x) for x in normed]
        hidden = [h + m for h, m in zip(hidden, mixed, strict=True)]
    head = weights["embeddings.weight" if config.tie_embeddings else "lm_head.weight"]
    return np.stack([head @ rms_norm(h, weights["norm_f.weight"], config.norm_eps) for h in hidden])


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    return np.asarray(weight * x / np.sqrt(np.mean(x * x) + eps))


def silu(x: Array) -> Array:
    return x / (1.0 + np.exp(-x))


def mlp(spec: MlpSpec, w: Mapping[str, Array], x: Array) -> Array:
    up = w["up_proj.weight"] @ x
    inner = np.maximum(up, 0.0) ** 2 if spec.activation == "relu2" else silu(w["gate_proj.weight"] @ x) * up
    return np.asarray(w["down_proj.weight"] @ inner)


def mamba2(spec: MambaSpec, w: Mapping[str, Array], inputs: Sequence[Array], eps: float) -> list[Array]:
    inner, bc = spec.inner_size, spec.num_groups * spec.state_size
    window = [np.zeros(spec.conv_size) for _ in range(spec.conv_kernel)]
    states = [np.zeros((spec.head_dim, spec.state_size)) for _ in range(spec.num_heads)]
    outputs = []
    for value in inputs:
        projected = w["in_proj.weight"] @ value
        z, dt = projected[:inner], projected[inner + spec.conv_size :]
        window = [*window[1:], projected[inner : inner + spec.conv_size]]
        taps = sum(w["conv1d.weight"][:, 0, j] * sample for j, sample in enumerate(window))
        c = silu(np.asarray(taps + w["conv1d.bias"]))
        x = c[:inner].reshape(spec.num_heads, spec.head_dim)
        b_groups = c[inner : inner + bc].reshape(spec.num_groups, spec.state_size)
        c_groups = c[inner + bc :].reshape(spec.num_groups, spec.state_size)
        heads = []
        for h in range(spec.num_heads):
            group = h // (spec.num_heads // spec.num_groups)
            step = np.clip(np.logaddexp(0.0, dt[h] + w["dt_bias"][h]), *spec.time_step_limit)
            decay = np.exp(-step * np.exp(w["A_log"][h]))
            states[h] = decay * states[h] + step * np.outer(x[h], b_groups[group])
            heads.append(states[h] @ c_groups[group] + w["D"][h] * x[h])
        gated = (np.concatenate(heads) * silu(z)).reshape(spec.num_groups, -1)
        normed = np.concatenate([rms_norm(part, np.ones_like(part), eps) for part in gated])
        outputs.append(w["out_proj.weight"] @ (normed * w["norm.weight"]))
    return outputs


def attention(spec: AttentionSpec, w: Mapping[str, Array], inputs: Sequence[Array]) -> list[Array]:
    keys: list[Array] = []
    values: list[Array] = []
    outputs = []
    for position, x in enumerate(inputs):
        q = (w["q_proj.weight"] @ x).reshape(spec.num_heads, spec.head_dim)
        k = (w["k_proj.weight"] @ x).reshape(spec.num_kv_heads, spec.head_dim)
        if spec.rope_theta is not None:
            q, k = rope(q, position, spec.rope_theta), rope(k, position, spec.rope_theta)
        keys.append(k)
        values.append((w["v_proj.weight"] @ x).reshape(spec.num_kv_heads, spec.head_dim))
        heads = []
        for h in range(spec.num_heads):
            shared = h // (spec.num_heads // spec.num_kv_heads)
            scores = np.array([q[h] @ key[shared] for key in keys]) / np.sqrt(spec.head_dim)
            weights = np.exp(scores - scores.max())
            heads.append(np.stack([value[shared] for value in values]).T @ (weights / weights.sum()))
        outputs.append(w["o_proj.weight"] @ np.concatenate(heads))
    return outputs


def rope(heads: Array, position: int, theta: float) -> Array:
    """Rotate-half: the pair (i, i + E/2) turns by position * theta^(-2i/E)."""
    half = heads.shape[-1] // 2
    turned = heads.copy()
    for i in range(half):
        angle = position * theta ** (-2 * i / heads.shape[-1])
        turned[:, i] = heads[:, i] * np.cos(angle) - heads[:, i + half] * np.sin(angle)
        turned[:, i + half] = heads[:, i + half] * np.cos(angle) + heads[:, i] * np.sin(angle)
    return turned
