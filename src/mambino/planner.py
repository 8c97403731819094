"""How much memory a model will take, before it is opened: one formula for `plan`, `chat`, `serve` and their ceilings.

Plain arithmetic on a config; reads no machine. Start at plan_memory.
"""

from dataclasses import dataclass, replace

from mambino.config import AttentionSpec, HybridConfig, MambaSpec, MlpSpec
from mambino.errors import InputError

SNAPSHOT_SHARE = 0.1  # of a ceiling, for snapshots; more if one conversation at its full length needs it
DEFAULT_SNAPSHOT_NBYTES = 512 * 2**20  # without a ceiling; up to twice as much for one conversation at its full length
_LINE_PLACES = 4  # of one conversation at once: its beginning, and its last questions
_PASS_ROWS = 512  # tokens that the engine absorbs in one pass
_PROCESS_NBYTES = 48 * 2**20  # Python and libraries, measured
_TOKENIZER_NBYTES_PER_ID = 1250  # while it is built, measured with 131,072 ids
_SMALLEST_CONTEXT = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Bytes by purpose, each an upper bound.

    weights    mapped from the file; pages that are never read stay on disk
    state      recurrent state of all slots, constant;  kv: keys and values of all slots, at the full context
    snapshots  the cap of the snapshot cache
    adapters   factors that are added to the weights at run time
    scratch    buffers of one pass and of the sampler;  process: interpreter and tokenizer
    """

    context: int
    slots: int
    weights: int
    state: int
    kv: int
    snapshots: int
    scratch: int
    process: int
    adapters: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.state + self.kv + self.snapshots + self.scratch + self.process + self.adapters


def plan_memory(
    config: HybridConfig,
    *,
    weights_nbytes: int,
    context: int,
    slots: int = 1,
    kv_bytes: int = 2,
    ceiling: int | None = None,
    adapters_nbytes: int = 0,
) -> MemoryPlan:
    """The plan of a model that answers slots conversations of context tokens at once.

    kv_bytes: of a stored key or value element, as in HybridConfig.state_nbytes. ceiling: bytes that the whole process
    may take; snapshots get SNAPSHOT_SHARE of it, or what the places of one long conversation take, or what is left.
    """
    if context < 1 or slots < 1:
        raise InputError(f"[plan] expected a context and slots of at least 1, got {context} and {slots}")
    constant = config.state_nbytes(0)
    token = config.state_nbytes(1, kv_bytes=kv_bytes) - constant
    fixed = MemoryPlan(
        context=context,
        slots=slots,
        weights=weights_nbytes,
        state=slots * constant,
        kv=slots * token * context,
        snapshots=0,
        scratch=_scratch_nbytes(config),
        adapters=adapters_nbytes,
        process=_PROCESS_NBYTES + _TOKENIZER_NBYTES_PER_ID * config.vocab_size,
    )
    line = token * context + _LINE_PLACES * constant  # a deep place holds all keys and values before it
    if ceiling is None:
        snapshots = max(DEFAULT_SNAPSHOT_NBYTES, min(line, 2 * DEFAULT_SNAPSHOT_NBYTES))
    else:
        snapshots = max(0, min(max(int(ceiling * SNAPSHOT_SHARE), line), ceiling - fixed.total))
    return replace(fixed, snapshots=snapshots)


def advice(config: HybridConfig, plan: MemoryPlan, ceiling: int) -> list[str]:
    """What to change so that plan stays under ceiling; empty if it does. Each line alone is enough."""
    over = plan.total - plan.snapshots - ceiling
    if over <= 0:
        return []
    lines = []
    token = plan.kv // max(1, plan.context * plan.slots)
    if token:
        context = plan.context - -(-over // (token * plan.slots))
        if context >= _SMALLEST_CONTEXT:
            lines.append(f"--context {context}")
        if plan.kv // 2 > over:
            lines.append("--kv q8, which halves keys and values")
    per_slot = (plan.state + plan.kv) // plan.slots
    if plan.slots > 1:
        slots = plan.slots - -(-over // per_slot)
        if slots >= 1:
            lines.append(f"--slots {slots}")
    room = plan.weights - over
    if room > 0:
        bits = 8 * room / config.num_parameters
        lines.append(
            f"a file of at most {bits:.1f} bits per weight (now {8 * plan.weights / config.num_parameters:.1f})"
        )
    return lines or ["a smaller model: nothing else here takes enough memory to give it back"]


def require_fit(config: HybridConfig, plan: MemoryPlan, ceiling: int) -> None:
    """Raises InputError, with the remedies, if plan does not stay under ceiling."""
    remedies = advice(config, plan, ceiling)
    if remedies:
        needed = (plan.total - plan.snapshots) / 2**20
        raise InputError(
            f"[memory] needs {needed:.0f} MiB, and --memory allows {ceiling / 2**20:.0f} MiB; "
            f"any one of these would do: {'; '.join(remedies)}"
        )


def _scratch_nbytes(config: HybridConfig) -> int:
    """Float buffers of one pass: residual, normed and mixed rows, the widest projection in and out, logits."""
    widest = max(_layer_width(layer) for layer in config.layers)
    rows = 4 * (3 * config.hidden_size + 2 * widest) + 2 * max(widest, config.hidden_size)
    return _PASS_ROWS * rows + 4 * 4 * config.vocab_size


def _layer_width(layer: MambaSpec | AttentionSpec | MlpSpec) -> int:
    match layer:
        case MambaSpec():
            return layer.in_proj_size
        case AttentionSpec():
            return layer.query_size + 2 * layer.kv_size
        case MlpSpec():
            return layer.intermediate_size
