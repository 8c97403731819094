"""What the steps of `mambino compress` share: options, text as batches, models as modules, folders written.

Start at text_options and open_parent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from mambino.cli.terminal import note
from mambino.cli.torch_extra import require_torch
from mambino.compress.budget import Budget, Cost, budget_of, bytes_with, parameters, read_latency_table
from mambino.compress.offered import FILE_NAME, nested_text
from mambino.compress.sub import SubConfig
from mambino.config import HybridConfig
from mambino.export.folder import write_folder
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.hub.local import resolve
from mambino.load import tokenizer_of

if TYPE_CHECKING:
    from mambino.model.hybrid import HybridLM
    from mambino.train.data import Batch, Documents, MixedBatches

Function = TypeVar("Function", bound=Callable[..., object])

_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    data: tuple[Path, ...]
    rows: int
    row_size: int
    parse_special: bool
    seed: int


def text_options(function: Function) -> Function:
    """--data, --rows, --row-size, --parse-special, --seed."""
    for option in reversed((
        click.option("--data", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
                     metavar="FILE", help='.txt, or .jsonl with a "text" a line; may be repeated.'),
        click.option("--rows", type=click.IntRange(1), default=8, show_default=True, help="Rows a batch."),
        click.option("--row-size", type=click.IntRange(8), default=512, show_default=True, help="Tokens a row."),
        click.option("--parse-special", is_flag=True, help="Control tokens spelled in the text are real."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
    )):  # fmt: skip
        function = option(function)
    return function


def budget_options(function: Function) -> Function:
    """--budget, --count, --mix, --context, --latency-table."""
    for option in reversed((
        click.option("--budget", "budgets", multiple=True, metavar="SIZE",
                     help="A share (50%), or a number: 2.5M parameters, 300MB, 4ms. May be repeated."),
        click.option("--count", type=click.Choice(["parameters", "bytes", "latency"]), default="parameters",
                     show_default=True, help="What a budget limits."),
        click.option("--mix", default="q8_0", show_default=True, metavar="NAME",
                     help="Of number formats, that bytes are counted in; see mambino quantize."),
        click.option("--context", type=click.IntRange(1), default=4096, show_default=True, metavar="N",
                     help="Tokens of state that bytes include."),
        click.option("--latency-table", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                     metavar="FILE", help="From `mambino compress latency`."),
    )):  # fmt: skip
        function = option(function)
    return function


def chosen_budgets(
    parent: HybridConfig, texts: Sequence[str], count: str, mix: str, context: int, latency_table: Path | None
) -> list[Budget]:
    """Raises InputError for a budget that makes no sense, UsageError where an option is missing."""
    if not texts:
        raise click.UsageError("expected at least one --budget, such as --budget 50%")
    if len(set(texts)) < len(texts):
        raise click.UsageError(f"--budget: one is given twice: {', '.join(texts)}")
    cost: Cost = parameters
    unit: Mapping[str, float] | None = None
    if count == "bytes":
        cost, unit = bytes_with(mix, context=context), _BYTES
    if count == "latency":
        if latency_table is None:
            raise click.UsageError("--count latency needs --latency-table; make one with `mambino compress latency`")
        cost, unit = read_latency_table(latency_table), _SECONDS
    return [budget_of(text, parent, cost, unit=unit) for text in texts]


def open_parent(name: str) -> Checkpoint:
    """An open checkpoint that more than one size can be made of."""
    return open_checkpoint(resolve(name))


def module_of(checkpoint: Checkpoint) -> "HybridLM":
    """The model in float32, ready to train. Raises Unsupported without PyTorch."""
    require_torch()
    from mambino.model.hybrid import HybridLM
    from mambino.model.weights import load_weights

    model = HybridLM(checkpoint.config, device="meta")
    load_weights(model, checkpoint.tensors("hf"), device="cpu")
    return model


def documents_of(
    checkpoint: Checkpoint, text: TextOptions, *, longest_row: int | None = None
) -> "tuple[Documents, Documents]":
    """Training and held-out documents of --data, long ones in pieces of a row.

    longest_row: of the stages, where they differ from text.row_size.
    """
    from mambino.train.corpus import read_corpus, split_held_out

    if not text.data:
        raise click.UsageError("expected at least one --data FILE")
    corpus = read_corpus(text.data, tokenizer_of(checkpoint), parse_special=text.parse_special)
    return split_held_out(corpus.in_pieces(longest_row or text.row_size), 0.05)


def stream_of(documents: "Documents", text: TextOptions, *, row_size: int | None = None) -> "MixedBatches":
    from mambino.train.data import MixedBatches

    size = row_size or text.row_size
    pieces = documents.in_pieces(size)
    return MixedBatches({"text": pieces}, lambda _: {"text": 1.0}, rows=text.rows, row_size=size, seed=text.seed)


def held_out_batches(documents: "Documents", text: TextOptions, count: int = 4) -> "list[Batch]":
    stream = stream_of(documents, text)
    return [stream.batch(step) for step in range(count)]


def write_model(out: Path, model: "HybridLM", source: Checkpoint, subs: Mapping[str, SubConfig] | None = None) -> None:
    """A Hugging Face folder with the tokenizer of source, and the sub-models it offers. Mutates out."""
    from mambino.model.weights import weights_of

    offer = {FILE_NAME: nested_text(subs).encode()} if subs else None
    for sentence in write_folder(out, model.config, weights_of(model).values(), source, more_files=offer):
        note(f"warning: {sentence}")
