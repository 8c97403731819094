"""THE table: our tensor name, the Hugging Face name, the GGUF name, the shape, and how the stored values differ.

Load, export, docs and tests read these rows. A row's own name is the torch state_dict key of model/hybrid.py; index i
is the index in config.layers. Two value forms exist: "hf" (as trained) and "gguf" (as llama.cpp wants it). See rows.
"""

from dataclasses import dataclass
from typing import Literal

from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import ConfigError
from mambino.formats.transforms import IDENTITY, Column, NegativeExp, Reshape, RopePairs, Transform

Form = Literal["hf", "gguf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRow:
    """One tensor. shape is that of the own and the HF form; transform.gguf_shape(shape) is that of the GGUF form."""

    own: str
    hf: str
    gguf: str
    shape: tuple[int, ...]
    transform: Transform = IDENTITY
    required: bool = True

    def stored_name(self, form: Form) -> str:
        return self.hf if form == "hf" else self.gguf

    def stored_shape(self, form: Form) -> tuple[int, ...]:
        return self.shape if form == "hf" else self.transform.gguf_shape(self.shape)


def rows(config: HybridConfig) -> tuple[NameRow, ...]:
    """The table, expanded for a config, in file order.

    Raises     ConfigError if the architecture cannot name these layers (a llama file holds attention, MLP pairs)
    """
    match config.architecture:
        case "nemotron_h":
            return (*_outer_rows(config, "backbone.embeddings", "backbone.norm_f"), *_nemotron_h_layers(config))
        case "llama":
            return (*_outer_rows(config, "model.embed_tokens", "model.norm"), *_llama_layers(config))


def _outer_rows(config: HybridConfig, embeddings: str, norm: str) -> tuple[NameRow, ...]:
    matrix = (config.vocab_size, config.hidden_size)
    table = [
        NameRow(own="embeddings.weight", hf=f"{embeddings}.weight", gguf="token_embd.weight", shape=matrix),
        NameRow(own="norm_f.weight", hf=f"{norm}.weight", gguf="output_norm.weight", shape=(config.hidden_size,)),
    ]
    if not config.tie_embeddings:
        table.append(NameRow(own="lm_head.weight", hf="lm_head.weight", gguf="output.weight", shape=matrix))
    return tuple(table)


def _nemotron_h_layers(config: HybridConfig) -> tuple[NameRow, ...]:
    table: list[NameRow] = []
    for index, layer in enumerate(config.layers):
        prefix = f"backbone.layers.{index}."
        table.append(_norm_row(config, index, f"{prefix}norm.weight", f"blk.{index}.attn_norm.weight"))
        table += _mixer_rows(config, index, layer, hf_prefix=f"{prefix}mixer.", block=index)
    return tuple(table)


def _llama_layers(config: HybridConfig) -> tuple[NameRow, ...]:
    if set(config.pattern[0::2]) != {"*"} or set(config.pattern[1::2]) != {"-"} or len(config.layers) % 2:
        raise ConfigError(
            f"[names] a llama checkpoint holds pairs of attention and MLP, got the pattern {config.pattern}; "
            "use architecture nemotron_h for other orders"
        )
    table: list[NameRow] = []
    for index, layer in enumerate(config.layers):
        block, is_mlp = divmod(index, 2)
        prefix = f"model.layers.{block}."
        norm = "post_attention_layernorm" if is_mlp else "input_layernorm"
        gguf_norm = "ffn_norm" if is_mlp else "attn_norm"
        table.append(_norm_row(config, index, f"{prefix}{norm}.weight", f"blk.{block}.{gguf_norm}.weight"))
        mixer = "mlp." if is_mlp else "self_attn."
        table += _mixer_rows(config, index, layer, hf_prefix=f"{prefix}{mixer}", block=block)
    return tuple(table)


def _norm_row(config: HybridConfig, index: int, hf: str, gguf: str) -> NameRow:
    return NameRow(own=f"layers.{index}.norm.weight", hf=hf, gguf=gguf, shape=(config.hidden_size,))


# Our mixer parameter (also its name in HF's mixer) -> GGUF's name inside the block.
_GGUF_PARTS = {
    "in_proj.weight": "ssm_in.weight",
    "conv1d.weight": "ssm_conv1d.weight",
    "conv1d.bias": "ssm_conv1d.bias",
    "A_log": "ssm_a",
    "D": "ssm_d",
    "dt_bias": "ssm_dt.bias",
    "norm.weight": "ssm_norm.weight",
    "out_proj.weight": "ssm_out.weight",
    "q_proj.weight": "attn_q.weight",
    "k_proj.weight": "attn_k.weight",
    "v_proj.weight": "attn_v.weight",
    "o_proj.weight": "attn_output.weight",
    "gate_proj.weight": "ffn_gate.weight",
    "up_proj.weight": "ffn_up.weight",
    "down_proj.weight": "ffn_down.weight",
}


def _mixer_rows(config: HybridConfig, index: int, layer: LayerSpec, *, hf_prefix: str, block: int) -> list[NameRow]:
    return [
        NameRow(
            own=f"layers.{index}.mixer.{part}",
            hf=hf_prefix + part,
            gguf=f"blk.{block}.{_GGUF_PARTS[part]}",
            shape=shape,
            transform=transform,
        )
        for part, shape, transform in _mixer_parts(config.hidden_size, layer)
    ]


def _mixer_parts(hidden: int, layer: LayerSpec) -> list[tuple[str, tuple[int, ...], Transform]]:
    """(parameter, shape, transform) of one mixer."""
    match layer:
        case MambaSpec():
            heads, inner, conv, width = layer.num_heads, layer.inner_size, layer.conv_size, layer.conv_kernel
            groups = layer.num_groups
            return [
                ("in_proj.weight", (layer.in_proj_size, hidden), IDENTITY),
                ("conv1d.weight", (conv, 1, width), Reshape(to=(conv, width))),
                ("conv1d.bias", (conv,), IDENTITY),
                ("A_log", (heads,), NegativeExp()),
                ("D", (heads,), Column()),
                ("dt_bias", (heads,), IDENTITY),
                ("norm.weight", (inner,), Reshape(to=(groups, inner // groups))),
                ("out_proj.weight", (hidden, inner), IDENTITY),
            ]
        case AttentionSpec():
            query, kv = layer.query_size, layer.kv_size
            rope = layer.rope_theta is not None
            return [
                ("q_proj.weight", (query, hidden), RopePairs(num_heads=layer.num_heads) if rope else IDENTITY),
                ("k_proj.weight", (kv, hidden), RopePairs(num_heads=layer.num_kv_heads) if rope else IDENTITY),
                ("v_proj.weight", (kv, hidden), IDENTITY),
                ("o_proj.weight", (hidden, query), IDENTITY),
            ]
        case MlpSpec():
            wide = (layer.intermediate_size, hidden)
            gate = [("gate_proj.weight", wide, IDENTITY)] if layer.activation == "swiglu" else []
            return [*gate, ("up_proj.weight", wide, IDENTITY), ("down_proj.weight", wide[::-1], IDENTITY)]
