"""Adapters in llama.cpp's GGUF form: NAME.lora_a and NAME.lora_b beside general.type "adapter".

Start at write_gguf_adapter and read_gguf_adapter.

Source: llama.cpp, convert_lora_to_gguf.py and llama-adapter.cpp: the effect is alpha / rank * b @ a
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mambino.config import HybridConfig
from mambino.errors import FormatError
from mambino.formats.adapter import Adapter, Factors
from mambino.formats.gguf_config import write_gguf_metadata
from mambino.formats.gguf_read import open_gguf
from mambino.formats.gguf_write import write_gguf
from mambino.formats.names import rows
from mambino.formats.tensor import Tensor, tensor_from_float32

_A, _B = ".lora_a", ".lora_b"
_ALPHA = "adapter.lora.alpha"


def write_gguf_adapter(path: Path | str, adapter: Adapter, config: HybridConfig) -> None:
    """Write float32 factors; their own scales are put into b, because the file has one alpha for all ranks.

    Mutates    path: replaced, whole or not at all
    Raises     FormatError if the adapter does not fit config
    """
    adapter.require_fit(config)
    table = {row.own: row for row in rows(config)}
    alpha = float(max(one.rank for one in adapter.factors.values()))
    tensors: list[Tensor] = []
    for own, one in adapter.factors.items():
        b = tensor_from_float32(own, (one.b * np.float32(one.scale * one.rank / alpha)).astype(np.float32))
        tensors.append(tensor_from_float32(table[own].gguf + _A, one.a))
        tensors.append(table[own].transform.to_gguf(b).renamed(table[own].gguf + _B))
    metadata = {
        "general.architecture": write_gguf_metadata(config)["general.architecture"],
        "general.type": "adapter",
        "adapter.type": "lora",
        _ALPHA: alpha,
    }
    write_gguf(path, metadata, tensors)


def read_gguf_adapter(path: Path | str, config: HybridConfig) -> Adapter:
    """The inverse, for files of any maker.

    Raises     FormatError for a file that is no LoRA adapter, holds halves of pairs, or does not fit config
    """
    file = open_gguf(path)
    where = f"[adapter] {path}"
    if file.metadata.get("general.type") != "adapter" or file.metadata.get("adapter.type") != "lora":
        raise FormatError(f"{where}: is no LoRA adapter (general.type {file.metadata.get('general.type')!r})")
    alpha = file.metadata.get(_ALPHA)
    if not isinstance(alpha, float | int):
        raise FormatError(f"{where}: expected a number {_ALPHA}, got {alpha!r}")
    by_gguf = {row.gguf: row for row in rows(config)}
    names = {name.removesuffix(_A).removesuffix(_B) for name in file.tensors}
    factors: dict[str, Factors] = {}
    for name in sorted(names):
        row, a, b = by_gguf.get(name), file.tensors.get(name + _A), file.tensors.get(name + _B)
        if row is None or a is None or b is None or len(a.shape) != 2 or len(b.shape) != 2:
            raise FormatError(f"{where}: {name} is no weight of this model, or lacks {_A} or {_B}")
        b = row.transform.to_hf(replace(b, name=row.own), b.shape)
        rank = a.shape[0]
        factors[row.own] = Factors(a=a.to_float32(), b=b.to_float32(), scale=alpha / rank if alpha else 1.0)
    adapter = Adapter(factors=factors)
    adapter.require_fit(config)
    return adapter
