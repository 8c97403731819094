"""Stored tensors against the table of names: what belongs where, and what is missing, left over or misshapen.

Knows nothing of files. Start at match_tensors.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mambino.config import HybridConfig
from mambino.errors import FormatError
from mambino.formats.names import Form, rows
from mambino.formats.tensor import Tensor

# Stored beside the weights, unused by a forward pass: activation and cache scales of FP8 files, old RoPE tables.
_IGNORED_SUFFIXES = (".input_scale", ".k_scale", ".v_scale", ".output_scale", ".rotary_emb.inv_freq")
_SCALE_SUFFIX = "_scale"


def attach_scales(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of the table: nemotron_h's "model." prefix, FP8 scales and unused extras resolved."""
    weights = {name: tensor for name, tensor in tensors.items() if not name.endswith(_IGNORED_SUFFIXES)}
    for name in [name for name in weights if name.endswith(f".weight{_SCALE_SUFFIX}")]:
        owner = name.removesuffix(_SCALE_SUFFIX)
        if owner in weights:
            weights[owner] = replace(weights[owner], scale=_scale_values(weights[owner], weights.pop(name)))
    unscaled = [name for name, tensor in weights.items() if tensor.type.name == "F8_E4M3" and tensor.scale is None]
    if unscaled:
        raise FormatError(
            f"[safetensors] FP8 tensors without a weight_scale: {listed(unscaled)}; fetch the model again"
        )
    return weights


def _scale_values(weight: Tensor, scale: Tensor) -> NDArray[np.float32]:
    """One number, or one a row."""
    values = scale.to_float32().reshape(-1)
    if values.size not in (1, weight.rows) or not np.isfinite(values).all():
        raise FormatError(
            f"[safetensors] tensor {scale.name}: expected 1 or {weight.rows} finite scales, got shape {scale.shape}"
        )
    return values


def match_tensors(config: HybridConfig, tensors: Mapping[str, Tensor], form: Form) -> dict[str, Tensor]:
    """Tensors by own name, in table order and in the table's shapes, values as stored.

    Raises     FormatError that lists every tensor that is missing, left over, or of another shape
    """
    left, missing, misshapen, matched = dict(tensors), list[str](), list[str](), dict[str, Tensor]()
    if form == "hf" and config.architecture == "nemotron_h" and not any(name.startswith("backbone.") for name in left):
        left = {re.sub("^model[.]", "backbone.", name): tensor for name, tensor in left.items()}
    for row in rows(config):
        tensor = left.pop(row.stored_name(form), None)
        if tensor is None:
            missing.append(row.stored_name(form))
        elif _fits(tensor.shape, row.stored_shape(form), form):
            matched[row.own] = replace(tensor, name=row.own, shape=row.stored_shape(form))
        else:
            misshapen.append(f"{tensor.name}: expected shape {row.stored_shape(form)}, got {tensor.shape}")
    _drop_tied_head(config, matched, left)
    _require_none(missing, left, misshapen, f"[{form}] tensors do not fit the {config.architecture} config")
    return matched


def _require_none(missing: list[str], unknown: Iterable[str], misshapen: list[str], where: str) -> None:
    kinds = {"missing": missing, "unknown": list(unknown), "tensor": misshapen}
    problems = [f"{kind} {listed(names)}" for kind, names in kinds.items() if names]
    if problems:
        raise FormatError(f"{where}: {'; '.join(problems)}; re-export the model")


def _drop_tied_head(config: HybridConfig, matched: Mapping[str, Tensor], left: dict[str, Tensor]) -> None:
    """Some exporters store a tied head twice; the copy goes if it is one. Mutates left."""
    head, embeddings = left.get("lm_head.weight"), matched.get("embeddings.weight")
    if config.tie_embeddings and head is not None and embeddings is not None:
        if head.type != embeddings.type or not np.array_equal(head.data, embeddings.data):
            raise FormatError("[hf] tensor lm_head.weight: differs from the embeddings although config.json ties them")
        del left["lm_head.weight"]


def _fits(shape: tuple[int, ...], expected: tuple[int, ...], form: Form) -> bool:
    """Equal; GGUF files drop leading dimensions of 1, so there they do not count."""
    return shape == expected or (form == "gguf" and _without_ones(shape) == _without_ones(expected))


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape[:1] == (1,):
        shape = shape[1:]
    return shape


def listed(names: list[str]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more
