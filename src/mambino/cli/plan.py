"""`mambino plan`: the memory that a model will take, and what to change if it is too much. Start at command."""

import json
from dataclasses import asdict

import click

from mambino.cli.adapters import open_adapters
from mambino.cli.opening import KV_BYTES, choose_context
from mambino.cli.options import debug_option, json_option, shown_model_name
from mambino.cli.sizes import memory_size, token_count
from mambino.cli.terminal import human_bytes
from mambino.formats.checkpoint import open_checkpoint
from mambino.hub.local import BUNDLED, resolve
from mambino.load import at_budget
from mambino.planner import advice, plan_memory

_LINES = {
    "weights": "the file, mapped; pages that are never read stay on disk",
    "state": "what the recurrent layers remember, the same at any length",
    "kv": "keys and values of the attention layers, at the full context",
    "snapshots": "places to go back to, so that nothing is read twice",
    "adapters": "factors of --adapter, as read and as the engine runs them",
    "scratch": "buffers of one pass",
    "process": "Python and the tokenizer",
}


@click.command()
@click.argument("model", default=BUNDLED)
@click.option("--memory", type=memory_size, metavar="SIZE", help="What the whole process may take, such as 4GiB.")
@click.option("--context", type=token_count, metavar="N", help="Tokens a conversation, such as 32k.")
@click.option("--slots", type=click.IntRange(1), default=1, show_default=True, help="Conversations at once.")
@click.option("--kv", type=click.Choice(list(KV_BYTES)), default="f16", show_default=True, help="Keys and values.")
@click.option("--budget", metavar="SIZE", help="Of a nested model: a size that it offers (50%), or a memory (1.5GiB).")
@click.option("--adapter", "adapters", multiple=True, metavar="[NAME=]PATH", help="A LoRA to run with; repeatable.")
@json_option
@debug_option
def command(
    model: str, memory: int | None, context: int | None, slots: int, kv: str, budget: str | None,
    adapters: tuple[str, ...], as_json: bool,
) -> int:  # fmt: skip
    """Show what MODEL takes in memory before it is opened; with --memory, whether it fits.

    \b
    mambino plan model.gguf --memory 4GiB --context 32k --slots 2

    The same formula guards `chat --memory` and `serve --memory`. Exits with 1 if the plan does not fit.
    """
    checkpoint = at_budget(open_checkpoint(resolve(model)), budget)
    config = checkpoint.config
    plan = plan_memory(
        config,
        weights_nbytes=checkpoint.nbytes,
        context=choose_context(config, context),
        slots=slots,
        kv_bytes=KV_BYTES[kv],
        ceiling=memory,
        adapters_nbytes=open_adapters(adapters, config).nbytes,
    )
    remedies = [] if memory is None else advice(config, plan, memory)
    if as_json:
        print(json.dumps({**asdict(plan), "total": plan.total, "ceiling": memory, "change": remedies}))
        return 1 if remedies else 0
    conversations = "1 conversation" if slots == 1 else f"{slots} conversations"
    print(f"{shown_model_name(model)}: {conversations} of {plan.context} tokens")
    for name, what in _LINES.items():
        if name != "adapters" or adapters:
            print(f"  {name:<11}{human_bytes(getattr(plan, name)):>9}  {what}")
    print(f"  {'total':<11}{human_bytes(plan.total):>9}" + ("" if memory is None else f"  of {human_bytes(memory)}"))
    if remedies:
        print("too much; any one of these would do:")
        for line in remedies:
            print(f"  {line}")
    return 1 if remedies else 0
