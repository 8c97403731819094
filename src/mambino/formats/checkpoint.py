"""A model on disk: a GGUF file or a Hugging Face directory, opened as one config and one set of named tensors.

Matches stored tensors against the table in names.py and refuses what is missing, left over or misshapen. No torch, no
tokenizer. Start at open_checkpoint.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mambino.config import HybridConfig
from mambino.errors import ConfigError, FormatError, Unsupported
from mambino.formats.gguf_config import read_gguf_config
from mambino.formats.gguf_read import open_gguf
from mambino.formats.hf_config import read_hf_config, read_token_ids
from mambino.formats.json_file import read_json
from mambino.formats.keys import Keys
from mambino.formats.mapped import map_file
from mambino.formats.names import Form, NameRow, rows
from mambino.formats.safetensors import open_safetensors
from mambino.formats.tensor import Tensor

Kind = Literal["gguf", "hf"]

# Stored beside the weights, unused by a forward pass: activation and cache scales of FP8 files, old RoPE tables.
_IGNORED_SUFFIXES = (".input_scale", ".k_scale", ".v_scale", ".output_scale", ".rotary_emb.inv_freq")
_SCALE_SUFFIX = "_scale"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """An open model. stored maps own names to tensors in the form of its kind; use tensors() for either form.

    metadata is the GGUF's ({} for "hf"); generation_defaults is generation_config.json ({} where there is none).
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
        generation_defaults={},
        chat_template=template if isinstance(template, str) else None,
    )


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
        stored = match_tensors(config, _normalised(open_safetensors(path)), "hf")
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


def _normalised(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the names of the table: nemotron_h's "model." prefix, FP8 scales and unused extras resolved."""
    weights = {name: tensor for name, tensor in tensors.items() if not name.endswith(_IGNORED_SUFFIXES)}
    for name in [name for name in weights if name.endswith(f".weight{_SCALE_SUFFIX}")]:
        owner = name.removesuffix(_SCALE_SUFFIX)
        if owner in weights:
            weights[owner] = replace(weights[owner], scale=_scale_values(weights[owner], weights.pop(name)))
    unscaled = [name for name, tensor in weights.items() if tensor.type.name == "F8_E4M3" and tensor.scale is None]
    if unscaled:
        raise FormatError(
            f"[safetensors] FP8 tensors without a weight_scale: {_listed(unscaled)}; fetch the model again"
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
    left, missing, matched = dict(tensors), list[str](), dict[str, Tensor]()
    if form == "hf" and config.architecture == "nemotron_h" and not any(name.startswith("backbone.") for name in left):
        left = {re.sub("^model[.]", "backbone.", name): tensor for name, tensor in left.items()}
    for row in rows(config):
        tensor = left.pop(row.stored_name(form), None)
        if tensor is None:
            missing.append(row.stored_name(form))
        else:
            matched[row.own] = _fitted(row, tensor, form)
    _drop_tied_head(config, matched, left)
    if missing or left:
        problems = [f"missing {_listed(missing)}"] if missing else []
        problems += [f"unknown {_listed(list(left))}"] if left else []
        raise FormatError(f"[{form}] tensors do not fit the {config.architecture} config: {'; '.join(problems)}")
    return matched


def _drop_tied_head(config: HybridConfig, matched: Mapping[str, Tensor], left: dict[str, Tensor]) -> None:
    """Some exporters store a tied head twice; the copy goes if it is one. Mutates left."""
    head, embeddings = left.get("lm_head.weight"), matched.get("embeddings.weight")
    if config.tie_embeddings and head is not None and embeddings is not None:
        if head.type != embeddings.type or not np.array_equal(head.data, embeddings.data):
            raise FormatError("[hf] tensor lm_head.weight: differs from the embeddings although config.json ties them")
        del left["lm_head.weight"]


def _fitted(row: NameRow, tensor: Tensor, form: Form) -> Tensor:
    """The tensor under its own name, in the table's shape; GGUF files drop leading dimensions of 1."""
    expected = row.stored_shape(form)
    if tensor.shape != expected and (form == "hf" or _without_ones(tensor.shape) != _without_ones(expected)):
        raise FormatError(
            f"[{form}] tensor {tensor.name}: expected shape {expected}, got {tensor.shape}; re-export the model"
        )
    return replace(tensor, name=row.own, shape=expected)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape[:1] == (1,):
        shape = shape[1:]
    return shape


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more
