"""`mambino info`: what a model is, what it needs, and which kernels serve it. Start at command."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import click

from mambino.cli.options import debug_option, json_option, shown_model_name
from mambino.cli.sampling import choose_sampling
from mambino.cli.terminal import human_bytes, human_count
from mambino.compress.offered import offered_subs
from mambino.config import AttentionSpec, HybridConfig, LayerSpec, MambaSpec, MlpSpec
from mambino.errors import MambinoError
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.hub.local import BUNDLED, resolve
from mambino.load import tokenizer_of

if TYPE_CHECKING:
    from mambino.engine.info import EngineInfo
    from mambino.engine.native import Isa

_ISAS = Literal["reference", "avx2", "avx512"]
_CONTEXTS = (4096, 32768)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeShare:
    """Weights stored as one type."""

    type: str
    tensors: int
    parameters: int
    nbytes: int


@click.command()
@click.argument("model", default=BUNDLED)
@click.option("--kernels", is_flag=True, help="Show the instruction set of every kernel (op x type).")
@json_option
@debug_option
def command(model: str, kernels: bool, as_json: bool) -> None:
    """Show what MODEL is: a .gguf file, a Hugging Face folder, or the name of a fetched model.

    Without MODEL, the bundled one. No weights are read, so it is quick for any size.
    """
    checkpoint = open_checkpoint(resolve(model))
    if as_json:
        print(json.dumps(report(checkpoint), ensure_ascii=False))
        return
    print(shown_model_name(model))
    for name, value in _lines(checkpoint):
        print(f"  {name:<14}{value}")
    if kernels:
        print("\n" + "\n".join(_kernel_table()))


def type_shares(checkpoint: Checkpoint) -> list[TypeShare]:
    """Bytes by type, largest first."""
    by_type: dict[str, TypeShare] = {}
    for tensor in checkpoint.stored.values():
        known = by_type.get(tensor.type.name, TypeShare(type=tensor.type.name, tensors=0, parameters=0, nbytes=0))
        by_type[tensor.type.name] = TypeShare(
            type=known.type,
            tensors=known.tensors + 1,
            parameters=known.parameters + tensor.rows * tensor.cols,
            nbytes=known.nbytes + tensor.nbytes,
        )
    return sorted(by_type.values(), key=lambda share: -share.nbytes)


def report(checkpoint: Checkpoint) -> dict[str, object]:
    """Everything that is shown, as JSON values."""
    config, shares = checkpoint.config, type_shares(checkpoint)
    stored = sum(share.parameters for share in shares)
    return {
        "path": str(checkpoint.path),
        "format": checkpoint.kind,
        "architecture": config.architecture,
        "pattern": config.pattern,
        "num_parameters": config.num_parameters,
        "nbytes": checkpoint.nbytes,
        "bits_per_weight": round(8 * checkpoint.nbytes / stored, 4),
        "types": [
            {"type": share.type, "tensors": share.tensors, "parameters": share.parameters, "nbytes": share.nbytes}
            for share in shares
        ],
        "hidden_size": config.hidden_size,
        "vocab_size": config.vocab_size,
        "max_context": config.max_context,
        "budgets": {name: sub.config.num_parameters for name, sub in offered_subs(checkpoint).items()},
        "state_nbytes": {str(context): config.state_nbytes(context) for context in _contexts(config)},
        "tokenizer": _tokenizer_line(checkpoint),
        "chat_template": checkpoint.chat_template is not None,
        "thinking": _can_think(checkpoint),
        "sampling": choose_sampling(checkpoint, {}).to_json(),
        "engine": _engine_report(),
    }


def _lines(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    config, shares = checkpoint.config, type_shares(checkpoint)
    stored = sum(share.parameters for share in shares)
    lines = [
        ("file", f"{checkpoint.path} ({'GGUF' if checkpoint.kind == 'gguf' else 'safetensors folder'})"),
        ("architecture", f"{config.architecture}, {human_count(config.num_parameters)} parameters"),
        ("layers", f"{len(config.layers)}: {', '.join(_kinds(config))}"),
        ("pattern", _folded(config.pattern)),
        ("sizes", f"hidden {config.hidden_size}, vocabulary {config.vocab_size}"),
        ("weights", f"{human_bytes(checkpoint.nbytes)}, {8 * checkpoint.nbytes / stored:.2f} bits per weight"),
    ]
    lines += [("", f"{share.type:<8}{_share_text(share, checkpoint.nbytes)}") for share in shares]
    subs = offered_subs(checkpoint)
    lines += (
        [("budgets", ", ".join(f"{name} ({human_count(sub.config.num_parameters)})" for name, sub in subs.items()))]
        if subs
        else []
    )
    lines += [
        ("context", f"{config.max_context} tokens"),
        ("memory", _memory_text(checkpoint)),
        ("tokenizer", _tokenizer_line(checkpoint) or "none"),
        ("template", _template_text(checkpoint)),
        ("sampling", choose_sampling(checkpoint, {}).describe()),
        ("engine", _engine_text(checkpoint)),
    ]
    return lines


def _share_text(share: TypeShare, total: int) -> str:
    bits = 8 * share.nbytes / share.parameters
    size, part = human_bytes(share.nbytes), 100 * share.nbytes / total
    return f"{size:>8}  {part:5.1f} %  {bits:5.2f} bits  {share.tensors} tensors"


def _kinds(config: HybridConfig) -> list[str]:
    names: list[tuple[type[LayerSpec], str]] = [(MambaSpec, "Mamba-2"), (AttentionSpec, "attention"), (MlpSpec, "MLP")]
    counted = [(sum(isinstance(layer, kind) for layer in config.layers), name) for kind, name in names]
    shapes = len(set(config.layers)) > sum(count > 0 for count, _ in counted)
    return [f"{count} {name}" for count, name in counted if count] + (["of uneven sizes"] if shapes else [])


def _folded(pattern: str) -> str:
    """The layer pattern, as (unit)xN where it repeats throughout."""
    for size in range(1, len(pattern) // 2 + 1):
        count = len(pattern) // size
        if pattern[:size] * count == pattern:
            return f"({pattern[:size]})x{count}"
    return pattern


def _contexts(config: HybridConfig) -> list[int]:
    return [context for context in _CONTEXTS if context < config.max_context] + [config.max_context]


def _memory_text(checkpoint: Checkpoint) -> str:
    def one(context: int) -> str:
        state = checkpoint.config.state_nbytes(context)
        return f"{human_bytes(checkpoint.nbytes + state)} at {context} tokens (state {human_bytes(state)})"

    return "; ".join(one(context) for context in _contexts(checkpoint.config))


def _tokenizer_line(checkpoint: Checkpoint) -> str | None:
    try:
        tokenizer = tokenizer_of(checkpoint)
    except MambinoError as error:
        return f"cannot be opened: {error}"
    return f"byte-level BPE, {tokenizer.vocab_size} ids, {len(tokenizer.special_tokens)} control tokens"


def _can_think(checkpoint: Checkpoint) -> bool:
    return "enable_thinking" in (checkpoint.chat_template or "")


def _template_text(checkpoint: Checkpoint) -> str:
    if checkpoint.chat_template is None:
        return "none: continues text (run --raw), but was not taught to chat"
    return "yes" + (", with a thinking switch" if _can_think(checkpoint) else "")


def _engine_report() -> dict[str, object] | None:
    """The engine of this installation; None where it is not built."""
    info = _engine()
    return None if info is None else {"isa": info.isa, "build_id": info.build_id, "kernels": info.kernels}


def _engine(isa: "Isa" = "best") -> "EngineInfo | None":
    try:
        from mambino.engine.info import engine_info
    except ImportError:
        return None
    return engine_info(isa)


def _engine_text(checkpoint: Checkpoint) -> str:
    info = _engine()
    if info is None:
        return "not built here; only --backend torch can run this model"
    products = ("_proj.weight", "embeddings.weight", "lm_head.weight")
    types = {tensor.type.name for name, tensor in checkpoint.stored.items() if name.endswith(products)}
    served = [f"{kind} {info.kernels.get(f'gemm.{kind}', 'has no kernels')}" for kind in sorted(types)]
    return f"{info.isa} (build {info.build_id}); matrix products: {', '.join(served)}"


def _kernel_table() -> list[str]:
    """Op by instruction set: which kernel serves when the engine is held to that set."""
    columns: dict[str, dict[str, str]] = {}
    for isa in get_args(_ISAS):
        try:
            info = _engine(isa)
        except MambinoError:  # this machine lacks it
            continue
        if info is None:
            return ["kernels: the engine is not built here"]
        columns[isa] = info.kernels
    ops = sorted({op for kernels in columns.values() for op in kernels})
    width = max(map(len, ops))
    rows = [[f"{op:<{width}}", *(f"{kernels.get(op, '-'):<10}" for kernels in columns.values())] for op in ops]
    head = ["kernel".ljust(width), *(f"{isa:<10}" for isa in columns)]
    return ["  " + "  ".join(row).rstrip() for row in [head, *rows]]
