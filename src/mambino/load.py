"""Open a model or a tokenizer by path or name: the one place that picks the engine or PyTorch.

Composes hub, formats, tokenizer and the two implementations; decides nothing else. Start at open_model.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mambino.compress.offered import chosen_sub
from mambino.compress.slicing import slice_checkpoint
from mambino.config import HybridConfig
from mambino.errors import InputError, Unsupported
from mambino.formats.adapter import Adapter, merged
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.formats.gguf_adapter import read_gguf_adapter
from mambino.formats.gguf_read import open_gguf
from mambino.formats.peft_adapter import read_peft_adapter
from mambino.hub.local import BUNDLED, home, resolve
from mambino.lm import LanguageModel
from mambino.tokenizer.files import tokenizer_from_directory, tokenizer_from_gguf
from mambino.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

    from mambino.engine.native import Activations, Isa, KeyValues

Backend = Literal["native", "torch"]
Name = str | os.PathLike[str]

_BUDGET_CONTEXT = 4096  # tokens of state that a memory budget includes


def open_model(
    name: Name = BUNDLED,
    *,
    backend: Backend = "native",
    device: "torch.device | str | None" = None,
    dtype: "torch.dtype | str | None" = None,
    threads: int | None = None,
    isa: "Isa" = "best",
    activations: "Activations" = "int8",
    kv: "KeyValues" = "f16",
    budget: str | None = None,
    adapter: Name | None = None,
) -> LanguageModel:
    """A model from a GGUF file, a Hugging Face directory, or the name of an installed model (hub.local.resolve).

    native, the C++ engine, takes threads (None: all cores), isa, activations and kv (q8 halves
    the memory of keys and values). torch takes device (None: the CPU)
    and dtype (None: float32; or a name such as "bfloat16"), and threads for the whole process. budget opens a part of
    a nested model: a size that it offers ("50%"), or the largest for a memory ("1.5GiB").
    adapter is a LoRA (PEFT folder, or GGUF): torch applies it beside the weights; native merges it into a copy in
    memory of the weights it touches (formats.adapter.merged).

    Raises     FetchError for a name that is not here; FormatError, ConfigError, Unsupported for the file;
               InputError for an option of the other backend; Unsupported if the backend is not installed
    """
    checkpoint = at_budget(open_checkpoint(resolve(name)), budget)
    return model_of(
        checkpoint, backend=backend, device=device, dtype=dtype, threads=threads, isa=isa, activations=activations,
        kv=kv, adapter=None if adapter is None else open_adapter(adapter, checkpoint.config),
    )  # fmt: skip


def open_adapter(name: Name, config: HybridConfig) -> Adapter:
    """A LoRA adapter for models of config: a PEFT folder, or a GGUF file.

    Raises     FormatError if it is damaged or for another model; Unsupported for other kinds of adapter
    """
    path = Path(name)
    return read_peft_adapter(path, config) if path.is_dir() else read_gguf_adapter(path, config)


def at_budget(checkpoint: Checkpoint, budget: str | None) -> Checkpoint:
    """The part of a nested checkpoint that budget asks for; see open_model. None is the whole.

    Rows stay views of the file. Columns are copied, so a cut hidden size costs the memory of the part.
    Raises     InputError that lists what is offered; Unsupported where a cut would go through a quantisation block
    """
    if budget is None:
        return checkpoint
    context = min(_BUDGET_CONTEXT, checkpoint.config.max_context)
    return slice_checkpoint(checkpoint, chosen_sub(checkpoint, budget, context=context))


def model_of(
    checkpoint: Checkpoint,
    *,
    backend: Backend = "native",
    device: "torch.device | str | None" = None,
    dtype: "torch.dtype | str | None" = None,
    threads: int | None = None,
    isa: "Isa" = "best",
    activations: "Activations" = "int8",
    kv: "KeyValues" = "f16",
    adapter: Adapter | None = None,
) -> LanguageModel:
    """The model of an open checkpoint; see open_model."""
    if backend == "native":
        if device is not None or dtype is not None:
            raise InputError("[load] device and dtype are for backend='torch'; the native engine runs on the CPU")
        return _native_model(merged(checkpoint, adapter) if adapter else checkpoint, threads, isa, activations, kv)
    if backend == "torch":
        if isa != "best" or activations != "int8" or kv != "f16":
            raise InputError("[load] isa, activations and kv are for backend='native'")
        return _torch_model(checkpoint, device, dtype, threads, adapter)
    raise InputError(f"[load] backend: expected one of {', '.join(get_args(Backend))}, got {backend!r}")


def _native_model(
    checkpoint: Checkpoint, threads: int | None, isa: "Isa", activations: "Activations", kv: "KeyValues"
) -> LanguageModel:
    try:
        from mambino.engine.native import NativeLM
    except ImportError as error:
        raise Unsupported(f"[load] the C++ engine is not built here ({error}); install mambino again") from error
    tensors = checkpoint.tensors("gguf")
    return NativeLM(checkpoint.config, tensors, threads=threads, isa=isa, activations=activations, kv=kv)


def _torch_model(
    checkpoint: Checkpoint,
    device: "torch.device | str | None",
    dtype: "torch.dtype | str | None",
    threads: int | None,
    adapter: Adapter | None,
) -> LanguageModel:
    try:
        import torch

        from mambino.model.torch_lm import TorchLM
    except ImportError as error:
        raise Unsupported("[load] backend 'torch' needs PyTorch: pip install 'mambino[torch]'") from error
    kind = _named_dtype(dtype) if isinstance(dtype, str) else dtype
    if threads is not None:
        if threads < 1:
            raise InputError(f"[load] threads: expected at least 1, got {threads}")
        torch.set_num_threads(threads)
    try:
        place = torch.empty(0, device=device or "cpu").device
    except (RuntimeError, AssertionError) as error:  # unknown, or not in this build of PyTorch
        raise InputError(f"[load] device {device!r}: {str(error).splitlines()[0]}") from error
    opened = TorchLM.from_tensors(checkpoint.config, checkpoint.tensors("hf"), device=place, dtype=kind)
    if adapter is not None:
        from mambino.posttrain.lora import attach

        attach(opened.model, adapter)
    return opened


def _named_dtype(name: str) -> "torch.dtype":
    import torch

    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise InputError(f"[load] dtype: expected one of {', '.join(known)}, got {name!r}")
    return known[name]


def open_tokenizer(name: Name = BUNDLED) -> Tokenizer:
    """The tokenizer of a model (GGUF file, Hugging Face directory, or installed name); reads no weights.

    Raises     FetchError for a name that is not here; FormatError or Unsupported for the file
    """
    path = resolve(name)
    cache = home() / "tokenizers"
    if path.is_dir():
        return tokenizer_from_directory(path, cache)
    return tokenizer_from_gguf(open_gguf(path).metadata, cache)


def tokenizer_of(checkpoint: Checkpoint) -> Tokenizer:
    """The tokenizer that belongs to an open checkpoint; see open_tokenizer."""
    cache = home() / "tokenizers"
    if checkpoint.kind == "hf":
        return tokenizer_from_directory(checkpoint.path, cache)
    return tokenizer_from_gguf(checkpoint.metadata, cache)
