"""Adapters in PEFT's form: a folder with adapter_config.json and adapter_model.safetensors.

PEFT itself (0.21) refuses to load factors of Mamba's out_proj; vLLM, mambino and a merge take them.
Start at write_peft_adapter and read_peft_adapter.

Source: huggingface/peft, LoraConfig and utils/save_and_load.py
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from mambino.config import HybridConfig
from mambino.errors import FormatError, InputError, Unsupported
from mambino.formats.adapter import Adapter, Factors
from mambino.formats.json_file import read_json
from mambino.formats.names import rows
from mambino.formats.safetensors import open_safetensors, write_safetensors
from mambino.formats.tensor import Tensor, tensor_from_float32

CONFIG_NAME, WEIGHTS_NAME = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_KEY = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_([AB])(?:\.default)?\.weight")
_PLAIN = re.compile(r"[\w.]+")
# Settings under which the effect is more than scale * B @ A on linear layers.
_REFUSED = {
    "use_dora": False, "fan_in_fan_out": False, "modules_to_save": None, "bias": "none", "lora_bias": False,
    "layer_replication": None, "megatron_config": None,
}  # fmt: skip


def write_peft_adapter(path: Path | str, adapter: Adapter, config: HybridConfig, *, base: str = "") -> None:
    """Write a folder; base is the name of the model that the adapter is for.

    Raises     InputError if path exists; FormatError if the adapter does not fit config, or cannot be written
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path}: already exists; choose another folder or remove this one")
    adapter.require_fit(config)
    modules = {row.own: _module(row.hf) for row in rows(config)}
    tensors: list[Tensor] = []
    for own, one in adapter.factors.items():
        tensors.append(tensor_from_float32(f"{_PREFIX}{modules[own]}.lora_A.weight", one.a))
        tensors.append(tensor_from_float32(f"{_PREFIX}{modules[own]}.lora_B.weight", one.b))
    first = next(iter(adapter.factors.values()))
    document: dict[str, object] = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": first.rank,
        "lora_alpha": first.scale * first.rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(modules[own] for own in adapter.factors),
        "rank_pattern": {modules[own]: one.rank for own, one in adapter.factors.items()},
        "alpha_pattern": {modules[own]: one.scale * one.rank for own, one in adapter.factors.items()},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=".part") as scratch:
            staged = Path(scratch) / path.name
            staged.mkdir()
            write_safetensors(staged / WEIGHTS_NAME, tensors)
            (staged / CONFIG_NAME).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
            staged.rename(path)
    except OSError as error:
        raise FormatError(f"{path}: cannot be written: {error.strerror or error}; free some space") from error


def read_peft_adapter(path: Path | str, config: HybridConfig) -> Adapter:
    """A folder of any maker whose effect is scale * B @ A on linear layers.

    Raises     FormatError for damaged files, or one that does not fit config; Unsupported for other kinds, each named
    """
    path = Path(path)
    settings = read_json(path / CONFIG_NAME)
    if settings.get("peft_type") != "LORA":
        raise Unsupported(f"[adapter] {path}: peft_type {settings.get('peft_type')!r}; only LORA is supported")
    for key, plain in _REFUSED.items():
        if settings.get(key) not in (plain, None, False, []):
            raise Unsupported(f"[adapter] {path}: {key} = {settings[key]!r:.60} is not supported")
    by_module = {_module(row.hf): row.own for row in rows(config)}
    pairs: dict[str, dict[str, Tensor]] = {}
    for key, tensor in open_safetensors(path / WEIGHTS_NAME).items():
        match = _KEY.fullmatch(key)
        own = by_module.get(_current(match[1])) if match else None
        if match is None or own is None or len(tensor.shape) != 2:
            raise FormatError(f"[adapter] {path}: tensor {key} is no factor of a weight of this model")
        pairs.setdefault(own, {})[match[2]] = tensor
    factors = {own: _factors(path, own, pair, settings, config) for own, pair in pairs.items()}
    if not factors:
        raise FormatError(f"[adapter] {path}: holds no factors")
    adapter = Adapter(factors=factors)
    adapter.require_fit(config)
    return adapter


def _factors(
    path: Path, own: str, pair: Mapping[str, Tensor], settings: Mapping[str, object], config: HybridConfig
) -> Factors:
    if pair.keys() != {"A", "B"}:
        raise FormatError(f"[adapter] {path}: {own} has lora_{next(iter(pair))} only")
    module = next(_module(row.hf) for row in rows(config) if row.own == own)
    rank = pair["A"].shape[0]
    alpha = _from_pattern(settings.get("alpha_pattern"), module, settings.get("lora_alpha"))
    if not isinstance(alpha, int | float):
        raise FormatError(f"[adapter] {path}: lora_alpha: expected a number, got {alpha!r:.60}")
    divisor = math.sqrt(rank) if settings.get("use_rslora") else rank
    return Factors(a=pair["A"].to_float32(), b=pair["B"].to_float32(), scale=alpha / divisor)


def _from_pattern(pattern: object, module: str, default: object) -> object:
    """The value of the first key that is the end of the module's name.

    PEFT takes keys as regular expressions; a stranger's expression is not run here. Raises Unsupported for one.
    """
    for key, value in pattern.items() if isinstance(pattern, Mapping) else ():
        name = str(key).removeprefix("^").replace("\\.", ".")
        if not _PLAIN.fullmatch(name):
            raise Unsupported(f"[adapter] alpha_pattern: {key!r:.60} is a pattern; only module names are supported")
        if module == name or module.endswith(f".{name}"):
            return value
    return default


def _module(hf_name: str) -> str:
    """A weight's module as transformers 5 names it: what adapters are saved under."""
    return _current(hf_name.removesuffix(".weight"))


def _current(module: str) -> str:
    return "model." + module.removeprefix("backbone.") if module.startswith("backbone.") else module
