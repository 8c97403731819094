"""Checkpoint + QuantPlan -> a GGUF file of fewer bits: same names, same metadata, one tensor in memory at a time.

Composes export_gguf; formats are decided by quant.mixes and compress.plan_search. Start at quantize.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import gcd
from pathlib import Path

from mambino.compress.offered import FILE_NAME, GGUF_KEY, narrowest_grains, nested_text, offered_subs, require_cuttable
from mambino.errors import InputError
from mambino.export.gguf import Progress, export_gguf
from mambino.export.retype import retyped
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.names import rows
from mambino.lm import Float32Array
from mambino.quant.mixes import plan_for_mix
from mambino.quant.plan import QuantPlan

# What describes the source file, not the model.
_DROPPED_KEYS = ("general.file_type", "general.alignment", "general.quantization_version")
_ADDED_METADATA_NBYTES = 1024
_DIRECTORY_NBYTES = 128  # a tensor's name, shape and padding
_EXACT_TYPES = ("F32", "F16", "BF16", "Q8_0", "F8_E4M3")
_LEAST_BLOCK = 32  # of every type but plain floats


def shapes_of(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    """Own name -> shape, for every tensor."""
    return {row.own: row.shape for row in rows(checkpoint.config)}


def cut_shapes(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    """Own name -> shape, with rows divided into what every offered size keeps whole; as many values and bytes.

    A plan for these shapes leaves the offered sizes possible: 192 of 256 columns divide into 64, which no block of 256
    fits. Cuts finer than every block stay out of it; require_fit names them.
    """
    grains = narrowest_grains(checkpoint.config, offered_subs(checkpoint))
    shapes = shapes_of(checkpoint)
    for own, grain in grains.items():
        num_rows, cols = shapes[own]
        part = gcd(grain, cols)
        if part % _LEAST_BLOCK == 0:
            shapes[own] = (num_rows * cols // part, part)
    return shapes


def mix_plan(checkpoint: Checkpoint, mix: str) -> QuantPlan:
    """The plan of a named mix under which every size that checkpoint offers can be cut.

    Raises     InputError for an unknown name, or rows or cuts that no block of 32 divides
    """
    plan = plan_for_mix(mix, cut_shapes(checkpoint))
    require_fit(checkpoint, plan)
    return plan


def require_fit(checkpoint: Checkpoint, plan: QuantPlan) -> None:
    """Raise InputError unless plan is of this model, and leaves every size that it offers possible."""
    plan.require_fit(shapes_of(checkpoint))
    require_cuttable(checkpoint.config, offered_subs(checkpoint), plan.types)


def quantize(
    checkpoint: Checkpoint,
    path: Path | str,
    plan: QuantPlan,
    *,
    importance: Mapping[str, Float32Array] | None = None,
    threads: int = 1,
    on_progress: Progress | None = None,
) -> int:
    """Write checkpoint under plan and return the file's size in bytes.

    A GGUF keeps its metadata, a Hugging Face directory brings its tokenizer and template; both bring the sizes that
    they offer. importance: own name -> (cols,).
    Mutates    path: made, whole or not at all
    Raises     InputError if path exists, or plan or importance do not fit the model or the sizes that it offers
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path}: already exists; remove it or choose another name")
    require_fit(checkpoint, plan)
    is_gguf = checkpoint.kind == "gguf"
    metadata = dict(checkpoint.metadata) if is_gguf else {}
    if offered := offered_subs(checkpoint):
        metadata[GGUF_KEY] = nested_text(offered)
    for key in _DROPPED_KEYS:
        metadata.pop(key, None)
    metadata["mambino.quantize.plan"] = plan.name
    metadata["mambino.quantize.weighted_by_importance"] = bool(importance)
    name = metadata.get("general.name") or checkpoint.path.resolve().stem
    return export_gguf(
        checkpoint,
        path,
        type_of=lambda row: plan.types[row.own],
        name=str(name),
        tokenizer_directory=None if is_gguf or not _has_tokenizer(checkpoint.path) else checkpoint.path,
        more_metadata=metadata,
        importance=importance,
        threads=threads,
        on_progress=on_progress,
    )


def requantised(checkpoint: Checkpoint, plan: QuantPlan) -> list[str]:
    """Own names of matrices that are quantised already and would be quantised a second time."""
    return [
        own
        for own, tensor in checkpoint.stored.items()
        if tensor.type.name not in _EXACT_TYPES and tensor.type != plan.types[own]
    ]


def overhead_nbytes(checkpoint: Checkpoint) -> int:
    """Bytes of a quantised file besides its tensors: those of the source GGUF, or about those of a folder's files."""
    if checkpoint.kind == "gguf":
        return checkpoint.path.stat().st_size - checkpoint.nbytes + _ADDED_METADATA_NBYTES
    paths = [checkpoint.path / name for name in ("tokenizer.json", "tokenizer_config.json", FILE_NAME)]
    return sum(path.stat().st_size for path in paths if path.exists()) + _DIRECTORY_NBYTES * len(checkpoint.stored)


def quantise_in_memory(
    checkpoint: Checkpoint,
    plan: QuantPlan,
    *,
    importance: Mapping[str, Float32Array] | None = None,
    threads: int = 1,
) -> Checkpoint:
    """The same model under plan, in memory: what quantize would write. Tensors whose type stays are shared.

    Raises     InputError if the plan does not fit the model
    """
    plan.require_fit(shapes_of(checkpoint))
    stored = {
        own: retyped(tensor, plan.types[own], importance=(importance or {}).get(own), threads=threads)
        for own, tensor in checkpoint.tensors("gguf").items()
    }
    return replace(checkpoint, kind="gguf", stored=stored)


def _has_tokenizer(directory: Path) -> bool:
    return (directory / "tokenizer.json").exists()
