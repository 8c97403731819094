"""Options that several verbs share, and the values they amount to.

A verb adds them with @model_options and @sampling_options, and reads them with chosen_model(ctx) and overrides(ctx).
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import click

from mambino.cli.sizes import memory_size, token_count
from mambino.errors import InputError
from mambino.generation.params import SamplingParams
from mambino.hub.local import BUNDLED

Function = TypeVar("Function", bound=Callable[..., object])
Overrides = dict[str, object]  # SamplingParams fields that the user chose

_META = "mambino.options"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Which model, and how to run it.

    context None means a default that fits the machine. memory is a ceiling in bytes, or None. budget is a size that a
    nested model offers, None for the whole. adapters are paths, or NAME=PATH (cli.adapters).
    """

    model: str
    backend: str
    device: str | None
    dtype: str | None
    threads: int | None
    context: int | None
    memory: int | None
    budget: str | None
    adapters: tuple[str, ...]
    kv: str


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    ctx.meta.setdefault(_META, {})[param.name] = value


def _shared(*names: str, **attributes: object) -> Callable[[Function], Function]:
    """An option whose value is kept in the context, not passed to the verb's function."""
    return click.option(*names, expose_value=False, callback=_keep, **attributes)  # type: ignore[arg-type]


_MODEL_OPTIONS = (
    _shared(
        "-m",
        "--model",
        default=BUNDLED,
        show_default=True,
        metavar="MODEL",
        help="A .gguf file, a Hugging Face folder, or the name of a fetched model.",
    ),
    _shared("--backend", type=click.Choice(["native", "torch"]), default="native", show_default=True),
    _shared("--device", metavar="NAME", help="Of the torch backend: cpu, cuda, mps."),
    _shared("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Of the torch backend."),
    _shared("--threads", type=click.IntRange(1), metavar="N", help="Processor cores to use.  [default: all]"),
    _shared(
        "--context",
        type=token_count,
        metavar="N",
        help="Room for prompt and answer, in tokens.  [default: up to 32768, less on a small machine]",
    ),
    _shared(
        "--memory",
        type=memory_size,
        metavar="SIZE",
        help="The most that the process may take, such as 4GiB; checked before anything is loaded.",
    ),
    _shared(
        "--kv",
        type=click.Choice(["f16", "q8"]),
        default="f16",
        show_default=True,
        help="How the native engine stores keys and values; q8 takes half the memory.",
    ),
    _shared("--budget", metavar="SIZE", help="Of a nested model: a size that it offers (50%), or a memory (1.5GiB)."),
    _shared(
        "--adapter",
        "adapters",
        multiple=True,
        metavar="[NAME=]PATH",
        help="A LoRA to run with: a PEFT folder, or a GGUF file (see `tune`). With a name it waits for whom it is for.",
    ),
)
_SAMPLING_OPTIONS = (
    _shared("-t", "--temperature", type=float, metavar="X", help="0 always takes the likeliest token."),
    _shared("--top-k", type=int, metavar="K", help="Only the K likeliest tokens; 0 for all."),
    _shared("--top-p", type=float, metavar="P", help="Only the likeliest tokens that make up P."),
    _shared("--min-p", type=float, metavar="P", help="Only tokens at least P times as likely as the likeliest."),
    _shared("--repetition-penalty", type=float, metavar="X", help="1 is off."),
    _shared("--presence-penalty", type=float, metavar="X", help="0 is off."),
    _shared("--frequency-penalty", type=float, metavar="X", help="0 is off."),
    _shared("--seed", type=int, metavar="N", help="The same seed gives the same answer."),
    _shared("--stop", multiple=True, metavar="TEXT", help="End the answer at TEXT; may be repeated."),
    _shared("-n", "--max-tokens", type=int, metavar="N", help="Most tokens in the answer."),
)
_SAMPLING_FIELDS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "stop",
    "max_tokens",
)


def model_options(function: Function) -> Function:
    """Add -m, --backend, --device, --dtype, --threads, --context, --memory and the rest."""
    for option in reversed(_MODEL_OPTIONS):
        function = option(function)
    return function


def sampling_options(function: Function) -> Function:
    """Add the sampling flags."""
    for option in reversed(_SAMPLING_OPTIONS):
        function = option(function)
    return function


def thinking_option(function: Function) -> Function:
    """--think, --no-think, or neither (None: as the model likes)."""
    option = click.option(
        "--think/--no-think", "thinking", default=None, help="Reason before answering, if the model can."
    )
    return option(function)


def json_option(function: Function) -> Function:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")(function)


def debug_option(function: Function) -> Function:
    """--debug is read by main before the verb runs; here it is only declared."""
    return click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")(function)


def chosen_model(ctx: click.Context) -> ModelOptions:
    kept = ctx.meta[_META]
    return ModelOptions(
        model=kept["model"],
        backend=kept["backend"],
        device=kept["device"],
        dtype=kept["dtype"],
        threads=kept["threads"],
        context=kept["context"],
        memory=kept["memory"],
        budget=kept["budget"],
        adapters=kept["adapters"],
        kv=kept["kv"],
    )


def overrides(ctx: click.Context) -> Overrides:
    """The sampling fields that the user gave. Raises UsageError for a value out of range, before anything is opened."""
    kept = cast(dict[str, object], ctx.meta[_META])
    given = {name: kept[name] for name in _SAMPLING_FIELDS if kept[name] not in (None, ())}
    try:
        SamplingParams(**given)  # type: ignore[arg-type]  # it checks every field
    except InputError as error:
        raise click.UsageError(str(error).replace("[sampling] ", "--").replace("_", "-"), ctx) from error
    return given


def fresh_seed() -> int:
    """A seed that can be shown and typed again."""
    return random.SystemRandom().randrange(2**32)


def shown_model_name(model: str) -> str:
    """As the user typed it; a path by its file name."""
    path = Path(model)
    return path.resolve().name if path.exists() else model
