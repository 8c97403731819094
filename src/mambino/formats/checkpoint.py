"""A model on disk: a GGUF file or a Hugging Face directory, opened as one config and one set of named tensors.

Matches stored tensors against the table in names.py and refuses what is missing, left over or misshapen. No torch, no
tokenizer. Start at open_checkpoint.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Literal

from mambino.config import HybridConfig
from mambino.errors import ConfigError, FormatError, InputError, Unsupported
from mambino.formats.gguf_config import read_gguf_config
from mambino.formats.gguf_read import open_gguf
from mambino.formats.hf_config import read_hf_config, read_token_ids, write_hf_config
from mambino.formats.json_file import read_json
from mambino.formats.keys import Keys
from mambino.formats.mapped import map_file, replacing
from mambino.formats.matching import attach_scales, listed, match_tensors
from mambino.formats.names import Form, rows
from mambino.formats.safetensors import open_safetensors, write_safetensors
from mambino.formats.tensor import Tensor

Kind = Literal["gguf", "hf"]

_GGUF_SAMPLING = {
    "general.sampling.temp": "temperature",
    "general.sampling.top_k": "top_k",
    "general.sampling.top_p": "top_p",
    "general.sampling.min_p": "min_p",
    "general.sampling.penalty_repeat": "repetition_penalty",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """An open model. stored maps own names to tensors in the form of its kind; use tensors() for either form.

    metadata is the GGUF's ({} for "hf"); generation_defaults is generation_config.json, or a GGUF's sampling advice in
    its words ({} where there is none).
    """

    path: Path
    kind: Kind
    config: HybridConfig
    stored: Mapping[str, Tensor]
    metadata: Mapping[str, object]
    generation_defaults: Mapping[str, object]
    chat_template: str | None

    def tensors(self, form: Form) -> dict[str, Tensor]:
        """All weights by own name, in file order of the table; views of the file where the form is the stored one.

        Raises     FormatError where a value has no counterpart in the other form (A that is not negative)
        """
        if form == self.kind:
            return dict(self.stored)
        converted: dict[str, Tensor] = {}
        for row in rows(self.config):
            tensor = self.stored[row.own]
            is_gguf = form == "gguf"
            converted[row.own] = row.transform.to_gguf(tensor) if is_gguf else row.transform.to_hf(tensor, row.shape)
        return converted

    @property
    def nbytes(self) -> int:
        """Bytes of all weights as stored."""
        return sum(tensor.nbytes for tensor in self.stored.values())


def open_checkpoint(path: Path | str) -> Checkpoint:
    """Open a .gguf file or a Hugging Face directory (config.json and safetensors); weights stay mapped.

    Raises     FormatError for damaged files and for missing, left-over or misshapen tensors, all listed; ConfigError
               for a contradictory description; Unsupported for features, each named
    Pinned by  tests/formats/test_checkpoint.py
    """
    path = Path(path)
    if path.is_dir():
        return _open_directory(path)
    if path.suffix == ".safetensors":
        raise FormatError(f"{path}: is one weight file; open the directory that holds it and its config.json")
    return _open_gguf(path)


def _open_gguf(path: Path) -> Checkpoint:
    file = open_gguf(path)
    with _naming(path):
        config = read_gguf_config(file.metadata, file.tensors)
        stored = match_tensors(config, file.tensors, "gguf")
    template = file.metadata.get("tokenizer.chat_template")
    return Checkpoint(
        path=path,
        kind="gguf",
        config=config,
        stored=stored,
        metadata=file.metadata,
        generation_defaults=_recommended_sampling(file.metadata),
        chat_template=template if isinstance(template, str) else None,
    )


def _recommended_sampling(metadata: Mapping[str, object]) -> dict[str, object]:
    """GGUF's sampling advice under the names of generation_config.json."""
    advice = {ours: metadata.get(key) for key, ours in _GGUF_SAMPLING.items()}
    # Stored as float32: 0.7 shall not come back as 0.699999988.
    return {name: round(value, 6) for name, value in advice.items() if isinstance(value, int | float)}


def _open_directory(path: Path) -> Checkpoint:
    if not (path / "config.json").exists():
        found = ", ".join(sorted(file.name for file in path.iterdir())[:8]) or "nothing"
        raise FormatError(
            f"{path}: expected config.json and safetensors, found {found}; name a .gguf file or a model directory"
        )
    generation_path = path / "generation_config.json"
    generation = read_json(generation_path) if generation_path.exists() else {}
    with _naming(path):
        config = _with_more_eos(read_hf_config(read_json(path / "config.json")), generation)
        stored = match_tensors(config, attach_scales(open_safetensors(path)), "hf")
    return Checkpoint(
        path=path,
        kind="hf",
        config=config,
        stored=stored,
        metadata={},
        generation_defaults=generation,
        chat_template=_read_chat_template(path),
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the path before errors that come from its description or its tensors."""
    try:
        yield
    except (ConfigError, FormatError, Unsupported) as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def _with_more_eos(config: HybridConfig, generation: Mapping[str, object]) -> HybridConfig:
    """generation_config.json may name more ends of sequence than config.json: any of them stops."""
    more = read_token_ids(Keys(generation, "[generation_config.json]"), "eos_token_id")
    return replace(config, eos_token_ids=tuple(dict.fromkeys((*config.eos_token_ids, *more))))


def _read_chat_template(path: Path) -> str | None:
    """chat_template.jinja, else the (default) template inside tokenizer_config.json, else None."""
    if (path / "chat_template.jinja").exists():
        try:
            return map_file(path / "chat_template.jinja").tobytes().decode()
        except UnicodeDecodeError as error:
            raise FormatError(f"{path / 'chat_template.jinja'}: not UTF-8 ({error.reason})") from None
    if not (path / "tokenizer_config.json").exists():
        return None
    template = read_json(path / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


# What makes up a tokenizer, copied byte for byte from checkpoint to checkpoint.
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    "vocab.json", "merges.txt", "chat_template.jinja",
)  # fmt: skip


def write_checkpoint_directory(
    path: Path | str,
    config: HybridConfig,
    tensors: Iterable[Tensor],
    *,
    generation_defaults: Mapping[str, object] | None = None,
    tokenizer_from: Path | None = None,
    more_files: Mapping[str, bytes] | None = None,
) -> None:
    """Write a Hugging Face directory: config.json, model.safetensors, generation_config.json, and the tokenizer files.

    tensors have own names and the "hf" form, in F32, F16 or BF16. more_files: name, also in a folder ("a/b.json"), to
    content. The directory appears complete or not at all.
    Raises     InputError if path exists, or a tensor of the config is missing, unknown, misshapen or not such a float;
               FormatError if it cannot be written
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path}: already exists; choose another directory or remove this one")
    named = {tensor.name: tensor for tensor in tensors}
    renamed = _renamed_for_hf(config, named)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=".part") as scratch:
            staged = Path(scratch) / path.name
            staged.mkdir()
            write_safetensors(staged / "model.safetensors", renamed)
            _write_json(staged / "config.json", write_hf_config(config))
            if generation_defaults is not None:
                _write_json(staged / "generation_config.json", generation_defaults)
            if tokenizer_from is not None:
                for name in TOKENIZER_FILES:
                    if (tokenizer_from / name).exists():
                        copyfile(tokenizer_from / name, staged / name)
            for name, content in (more_files or {}).items():
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).write_bytes(content)
            staged.rename(path)
    except OSError as error:
        raise FormatError(
            f"{path}: cannot be written: {error.strerror or error}; free some space or choose another"
        ) from error


def _renamed_for_hf(config: HybridConfig, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """Tensors under Hugging Face names, in table order, after checking that they are the model's.

    The embeddings of a tied nemotron_h come twice: transformers does not tie that class, and would draw a head at
    random. Readers here drop the copy.
    """
    table = {row.own: row for row in rows(config)}
    if tensors.keys() != table.keys():
        wrong = sorted(tensors.keys() ^ table.keys())
        raise InputError(f"[checkpoint] missing or unknown tensors: {listed(wrong)}")
    for own, row in table.items():
        if tensors[own].shape != row.shape:
            raise InputError(f"[checkpoint] tensor {own}: expected shape {row.shape}, got {tensors[own].shape}")
    renamed = [tensors[own].renamed(row.hf) for own, row in table.items()]
    if config.tie_embeddings and config.architecture == "nemotron_h":
        renamed.append(tensors["embeddings.weight"].renamed("lm_head.weight"))
    return renamed


def _write_json(path: Path, document: Mapping[str, object]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(document, indent=2, allow_nan=False).encode() + b"\n")
