"""A Hugging Face folder with all that belongs to a model: weights, sampling advice, and a tokenizer from any source.

Composes formats and tokenizer. Start at write_folder.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from mambino.config import HybridConfig
from mambino.errors import FormatError, Unsupported
from mambino.export.elsewhere import folder_note
from mambino.formats.checkpoint import Checkpoint, write_checkpoint_directory
from mambino.formats.tensor import Tensor
from mambino.tokenizer.to_directory import tokenizer_files


def write_folder(
    out: Path,
    config: HybridConfig,
    tensors: Iterable[Tensor],
    source: Checkpoint,
    *,
    generation_defaults: Mapping[str, object] | None = None,
    more_files: Mapping[str, bytes] | None = None,
) -> list[str]:
    """Write out, with the tokenizer, template and sampling advice of source; return what its owner should know.

    tensors, more_files and errors: as write_checkpoint_directory. generation_defaults: other ones than source's. A GGUF
    whose tokenizer cannot be written makes a folder without one, and a sentence of the result says why.
    Mutates    out: made, whole or not at all
    """
    known = [folder_note(config)]
    files = dict(more_files or {})
    if source.kind == "gguf":
        try:
            files |= tokenizer_files(source.metadata)
        except (FormatError, Unsupported) as error:
            known.append(f"{out} has no tokenizer: {error}; or copy tokenizer.json of the original model into {out}")
    write_checkpoint_directory(
        out,
        config,
        tensors,
        generation_defaults=generation_defaults or source.generation_defaults or None,
        tokenizer_from=source.path if source.kind == "hf" else None,
        more_files=files,
    )
    return [sentence for sentence in known if sentence is not None]
