"""A repaired copy of a checkpoint: dead embedding rows filled, delicate tensors in float32, the end token named.

What a token of a dead row means is unknown either way; the copy makes it safe to train. Start at repair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mambino.compress.offered import FILE_NAME
from mambino.errors import InputError
from mambino.export.doctor import DELICATE, Finding, dead_rows, missing_turn_end
from mambino.export.folder import write_folder
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import TYPES
from mambino.tokenizer.tokenizer import Tokenizer

_SEED = 20
# What a folder may hold besides weights, config and tokenizer, and what is as true of the copy: the sizes that it
# offers, what `mambino compress rank` measured, and the words that come with a model.
_KEPT = (FILE_NAME, "ranking/*", "README.md", "LICENSE*", "NOTICE*")


def repair(checkpoint: Checkpoint, tokenizer: Tokenizer | None, found: Sequence[Finding], out: Path) -> list[str]:
    """Write the repaired copy to out; what was done, a sentence each. found: what examine said of checkpoint.

    Raises     InputError for a GGUF file (repair what it was made from), if out exists, or if an error was found that
               the copy would still have
    """
    if checkpoint.kind != "hf":
        raise InputError(f"{checkpoint.path}: a GGUF file is made from a folder: repair that, and export it again")
    if lasting := [finding for finding in found if finding.level == "error" and not finding.can_repair]:
        first, more = lasting[0], f" (and {len(lasting) - 1} more errors)" if lasting[1:] else ""
        raise InputError(
            f"{out}: not written, it would still be broken: {first.where}: {first.what}{more}; {first.remedy}"
        )
    done: list[str] = []
    defaults = dict(checkpoint.generation_defaults)
    if tokenizer is not None and checkpoint.chat_template is not None:
        end = missing_turn_end(checkpoint, tokenizer)
        if end is not None:
            defaults["eos_token_id"] = [*checkpoint.config.eos_token_ids, end]
            done.append(f"added end token {end} to generation_config.json")
    tensors = list(_repaired(checkpoint, done))
    kept = {
        str(file.relative_to(checkpoint.path)): file.read_bytes()
        for pattern in _KEPT
        for file in checkpoint.path.glob(pattern)
        if file.is_file()
    }
    # Its notes are findings already.
    write_folder(out, checkpoint.config, tensors, checkpoint, generation_defaults=defaults, more_files=kept)
    return done


def _repaired(checkpoint: Checkpoint, done: list[str]) -> Iterator[Tensor]:
    """Mutates done."""
    widened = 0
    for name, tensor in checkpoint.stored.items():
        if name == "embeddings.weight" and len(rows := dead_rows(tensor)):
            done.append(f"filled {len(rows)} dead rows of the embeddings with values of ordinary size")
            yield _filled(tensor, rows)
        elif name.endswith(DELICATE) and tensor.type.name != "F32":
            widened += 1
            yield tensor_from_float32(name, tensor.to_float32())
        elif tensor.scale is not None:
            yield tensor_from_float32(name, tensor.to_float32(), TYPES["BF16"])
        else:
            yield tensor
    if widened:
        done.append(f"stored {widened} delicate tensors as F32")


def _filled(tensor: Tensor, rows: NDArray[np.intp]) -> Tensor:
    """Dead rows become normal noise of the spread of the others; the others keep their bits."""
    kind = tensor.type if tensor.scale is None and tensor.type.name != "F8_E4M3" else TYPES["BF16"]
    values = tensor.to_float32()
    alive = np.delete(np.arange(len(values)), rows)
    spread = float(values[alive].std())
    values[rows] = np.random.default_rng(_SEED).normal(0.0, spread, (len(rows), tensor.cols)).astype(np.float32)
    return replace(tensor_from_float32(tensor.name, values, kind), shape=tensor.shape)
