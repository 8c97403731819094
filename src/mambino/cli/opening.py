"""Open everything that run and chat need, at once: weights, model, tokenizer, and a context that fits the machine.

Start at open_all.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mambino.chat.answering import Answerer
from mambino.cli.adapters import Adapters, open_adapters
from mambino.cli.options import ModelOptions, shown_model_name
from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.formats.adapter import merged
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.formats.fingerprint import fingerprint
from mambino.generation.prefix_cache import SnapshotTree
from mambino.generation.state_store import StateStore
from mambino.hub.local import home, resolve
from mambino.lm import LanguageModel
from mambino.load import Backend, at_budget, model_of, tokenizer_of
from mambino.planner import MemoryPlan, advice, plan_memory, require_fit
from mambino.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from mambino.engine.native import KeyValues

DEFAULT_CONTEXT = 32768
KV_BYTES = {"f16": 2, "q8": 1}  # of an element of keys and values, by --kv
_SMALLEST_DEFAULT = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """name is what the user typed; load_s is how long opening took; how says what else a state depends on.

    adapters are for the states that are made with them; the model itself is without.
    """

    name: str
    checkpoint: Checkpoint
    model: LanguageModel
    adapters: Adapters
    tokenizer: Tokenizer
    plan: MemoryPlan
    how: tuple[str, ...]
    load_s: float

    @property
    def context(self) -> int:
        return self.plan.context

    @property
    def fingerprint(self) -> str:
        """Of the weights and how they run: what saved states belong to."""
        return fingerprint(self.checkpoint, *self.how)

    def cache(self) -> SnapshotTree:
        """Room for snapshots inside the plan."""
        return SnapshotTree(self.plan.snapshots)

    def answerer(self, *, store: StateStore | None = None) -> Answerer:
        """Answers inside the plan: its slots, its context, its room for snapshots."""
        return Answerer(
            self.model,
            self.tokenizer,
            context=self.plan.context,
            slots=self.plan.slots,
            cache=self.cache(),
            store=store,
        )

    def store(self) -> StateStore:
        """States of this model on disk, below the cache folder."""
        return StateStore(home() / "states", self.model, self.fingerprint)


def open_all(options: ModelOptions, *, slots: int = 1, merges_adapter: bool = False) -> Opened:
    """Open everything for slots conversations at once.

    merges_adapter: the default adapter becomes part of the model, for uses that cannot say what a state is made with.

    Raises     MambinoError for whatever cannot be opened; InputError, before anything large is, for a context that the
               model cannot have, or a plan above --memory
    """
    started = time.perf_counter()
    checkpoint = at_budget(open_checkpoint(resolve(options.model)), options.budget)
    adapters = open_adapters(options.adapters, checkpoint.config)
    into = adapters.default if merges_adapter else None
    if into is not None:
        checkpoint, adapters = merged(checkpoint, into), Adapters(named=adapters.named)
    plan = choose_plan(
        checkpoint,
        options.context,
        slots=slots,
        ceiling=options.memory,
        kv_bytes=KV_BYTES[options.kv],
        adapters_nbytes=adapters.nbytes,
    )
    model = model_of(
        checkpoint,
        backend=cast(Backend, options.backend),
        device=options.device,
        dtype=options.dtype,
        threads=options.threads,
        kv=cast("KeyValues", options.kv),
    )
    return Opened(
        name=shown_model_name(options.model),
        checkpoint=checkpoint,
        model=model,
        adapters=adapters,
        tokenizer=tokenizer_of(checkpoint),
        plan=plan,
        how=(options.backend, options.dtype or "", options.kv, *(() if into is None else (into.digest,))),
        load_s=time.perf_counter() - started,
    )


def choose_plan(
    checkpoint: Checkpoint,
    context: int | None,
    *,
    slots: int,
    ceiling: int | None,
    kv_bytes: int = 2,
    adapters_nbytes: int = 0,
) -> MemoryPlan:
    """The memory plan; context None takes the largest sensible one. Raises InputError if it is above the ceiling."""
    config = checkpoint.config
    chosen = choose_context(config, context)
    while True:
        plan = plan_memory(
            config,
            weights_nbytes=checkpoint.nbytes,
            context=chosen,
            slots=slots,
            kv_bytes=kv_bytes,
            ceiling=ceiling,
            adapters_nbytes=adapters_nbytes,
        )
        is_above = ceiling is not None and bool(advice(config, plan, ceiling))
        if not is_above or context is not None or chosen <= _SMALLEST_DEFAULT:
            break
        chosen //= 2
    if ceiling is not None:
        require_fit(config, plan, ceiling)
    return plan


def choose_context(config: HybridConfig, asked: int | None) -> int:
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
