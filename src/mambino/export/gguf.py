"""Checkpoint -> GGUF: choose a number format for every tensor, convert names and values, add the tokenizer.

Knows formats and tokenizer, no model code. Start at export_gguf.
"""

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path

from mambino.compress.offered import GGUF_KEY, require_cuttable, subs_in_text
from mambino.errors import InputError, Unsupported
from mambino.export.retype import retyped
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.gguf_config import write_gguf_metadata
from mambino.formats.gguf_write import TensorEntry, gguf_writer
from mambino.formats.names import NameRow, rows
from mambino.lm import Float32Array
from mambino.quant.types import TYPES, QuantType
from mambino.tokenizer.to_gguf import gguf_metadata

TypeOf = Callable[[NameRow], QuantType]

# (tensor's own name, values done, values of the whole model)
Progress = Callable[[str, int, int], None]

_WHOLE_TYPES = ("F32", "F16", "Q8_0", "BF16")
# general.file_type of llama.cpp: what most weights are; the K types under the number of their "medium" mix.
_FILE_TYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q4_K": 15, "Q5_K": 17, "Q6_K": 18,
    "IQ4_NL": 25, "BF16": 32,
}  # fmt: skip
# Sampling advice that llama.cpp reads from general.sampling.*.
_SAMPLING_KEYS = {"temperature": "temp", "top_p": "top_p", "top_k": "top_k", "min_p": "min_p"}


def matrices_as(type_name: str) -> TypeOf:
    """Matrices in one type, everything small (norms, conv, biases, per-head numbers) in F32.

    Raises     InputError for a type that GGUF files are not written in
    """
    if type_name.upper() not in _WHOLE_TYPES:
        raise InputError(f"[export] type: expected one of {', '.join(_WHOLE_TYPES)}, got {type_name!r}")
    matrix_type, small_type = TYPES[type_name.upper()], TYPES["F32"]

    def type_of(row: NameRow) -> QuantType:
        return matrix_type if len(row.shape) == 2 else small_type

    return type_of


def as_stored(checkpoint: Checkpoint) -> TypeOf:
    """Matrices in the type that they have, BF16 for types that GGUF files do not hold; everything small in F32."""

    def type_of(row: NameRow) -> QuantType:
        stored = checkpoint.stored[row.own].type if len(row.shape) == 2 else TYPES["F32"]
        return TYPES["BF16"] if stored.ggml_id is None else stored

    return type_of


def export_gguf(
    checkpoint: Checkpoint,
    path: Path | str,
    *,
    type_of: TypeOf,
    name: str,
    tokenizer_directory: Path | None = None,
    more_metadata: Mapping[str, object] | None = None,
    importance: Mapping[str, Float32Array] | None = None,
    threads: int = 1,
    on_progress: Progress | None = None,
) -> int:
    """Write the checkpoint as one GGUF file and return its size in bytes; one tensor is in memory at a time.

    tokenizer_directory: where tokenizer.json is, if the file shall carry it. more_metadata wins over what is derived
    (architecture, sizes, tokenizer, sampling advice of the checkpoint's generation defaults); with GGUF_KEY it offers
    sizes. importance: own name -> (cols,), for the tensors that have one.

    Mutates    path: replaced, whole or not at all
    Raises     InputError if a row length, or its part in an offered size, does not divide into the type's blocks;
               Unsupported for a type, a config or a tokenizer that GGUF cannot hold
    """
    table = {row.own: row for row in rows(checkpoint.config)}
    types = {own: _checked(row, type_of(row)) for own, row in table.items()}
    metadata = write_gguf_metadata(checkpoint.config) | {
        "general.name": name,
        "general.file_type": _file_type(table, types),
    }
    metadata |= _sampling_metadata(checkpoint.generation_defaults)
    if tokenizer_directory is not None:
        metadata |= gguf_metadata(
            tokenizer_directory, checkpoint.config.vocab_size, first_ends=checkpoint.config.eos_token_ids
        )
    metadata |= more_metadata or {}
    if GGUF_KEY in metadata:
        offered = subs_in_text(checkpoint.config, str(metadata[GGUF_KEY]), f"{path}: {GGUF_KEY}")
        require_cuttable(checkpoint.config, offered, types)
    stored = checkpoint.tensors("gguf")
    entries = [TensorEntry(name=row.gguf, type=types[own], shape=stored[own].shape) for own, row in table.items()]
    counter = _Counter(on_progress, sum(prod(row.shape) for row in table.values()))
    with gguf_writer(path, metadata, entries) as writer:
        for own, row in table.items():
            weights = (importance or {}).get(own)
            counter.name = own
            tensor = retyped(stored[own], types[own], importance=weights, threads=threads, on_values=counter.add)
            writer.write(tensor.renamed(row.gguf))
    return Path(path).stat().st_size


class _Counter:
    """Adds up values and passes them on."""

    def __init__(self, on_progress: Progress | None, total: int) -> None:
        self._on_progress, self._total, self._done = on_progress, total, 0
        self.name = ""

    def add(self, num_values: int) -> None:
        self._done += num_values
        if self._on_progress:
            self._on_progress(self.name, self._done, self._total)


def _checked(row: NameRow, quant_type: QuantType) -> QuantType:
    if quant_type.ggml_id is None:
        raise Unsupported(f"[export] tensor {row.own}: GGUF has no type {quant_type.name}; choose BF16 or Q8_0 for it")
    if row.shape[-1] % quant_type.block_size:
        raise InputError(
            f"[export] tensor {row.own}: rows of {row.shape[-1]} do not divide into {quant_type.name} blocks of "
            f"{quant_type.block_size}; keep it in F16"
        )
    return quant_type


def _file_type(table: Mapping[str, NameRow], types: Mapping[str, QuantType]) -> int:
    weights: dict[str, int] = {}
    for own, row in table.items():
        if len(row.shape) == 2:
            weights[types[own].name] = weights.get(types[own].name, 0) + prod(row.shape)
    return _FILE_TYPES[max(weights, key=lambda name: weights[name])]


def _sampling_metadata(defaults: Mapping[str, object]) -> dict[str, object]:
    return {
        f"general.sampling.{key}": defaults[name]
        for name, key in _SAMPLING_KEYS.items()
        if defaults.get(name) is not None
    }
