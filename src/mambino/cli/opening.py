"""Open everything that run and chat need, at once: weights, model, tokenizer, and a context that fits the machine.

Start at open_all.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mambino.cli.options import ModelOptions, shown_model_name
from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.hub.local import resolve
from mambino.lm import LanguageModel
from mambino.load import Backend, model_of, tokenizer_of
from mambino.tokenizer.tokenizer import Tokenizer

DEFAULT_CONTEXT = 32768
_SMALLEST_DEFAULT = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """name is what the user typed; load_s is how long opening took."""

    name: str
    checkpoint: Checkpoint
    model: LanguageModel
    tokenizer: Tokenizer
    context: int
    load_s: float


def open_all(options: ModelOptions) -> Opened:
    """Raises MambinoError for whatever cannot be opened; InputError for a context that the model cannot have."""
    started = time.perf_counter()
    checkpoint = open_checkpoint(resolve(options.model))
    model = model_of(
        checkpoint,
        backend=cast(Backend, options.backend),
        device=options.device,
        dtype=options.dtype,
        threads=options.threads,
    )
    return Opened(
        name=shown_model_name(options.model),
        checkpoint=checkpoint,
        model=model,
        tokenizer=tokenizer_of(checkpoint),
        context=_chosen_context(checkpoint.config, options.context),
        load_s=time.perf_counter() - started,
    )


def _chosen_context(config: HybridConfig, asked: int | None) -> int:
    if asked is None:
        return default_context(config, available_memory())
    if asked > config.max_context:
        raise InputError(f"[context] --context {asked}: the model was trained for at most {config.max_context} tokens")
    return asked


def default_context(config: HybridConfig, available: int | None) -> int:
    """DEFAULT_CONTEXT, less if the model was trained for less or the state would take a quarter of the free memory."""
    context = min(DEFAULT_CONTEXT, config.max_context)
    while available is not None and context > _SMALLEST_DEFAULT and config.state_nbytes(context) > available / 4:
        context //= 2
    return context


def available_memory() -> int | None:
    """Bytes that can be used without swapping; None where the system does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    if "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def resident_memory() -> int | None:
    """Bytes of this process in memory, mapped weights included; None where the system does not say."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return None
