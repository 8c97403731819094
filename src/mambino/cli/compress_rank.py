"""`mambino compress rank`: score every part of a model, put the useful parts first. Start at command."""

from pathlib import Path

import click

from mambino.cli.compress_options import (
    TextOptions,
    documents_of,
    module_of,
    open_parent,
    stream_of,
    text_options,
    write_model,
)
from mambino.cli.options import debug_option
from mambino.cli.terminal import note
from mambino.errors import Unsupported
from mambino.export.place import require_model_place

RANKING = "ranking"  # the folder of scores inside the ranked model


@click.command()
@click.argument("model")
@text_options
@click.option("--batches", type=click.IntRange(1), default=16, show_default=True, help="Batches to score on.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER")
@debug_option
def command(
    model: str, data: tuple[Path, ...], rows: int, row_size: int, parse_special: bool, seed: int, batches: int,
    out: Path,
) -> None:  # fmt: skip
    """Score channels, neurons, heads and layers of MODEL by what they do on your text, and reorder its weights.

    OUT is the same model (the same logits) with the useful parts first, the scores in OUT/ranking, and a picture of
    them if matplotlib is there.

    \b
    mambino compress rank big/ --data text.jsonl --out ranked/
    """
    require_model_place(out)
    checkpoint = open_parent(model)
    text = TextOptions(data=data, rows=rows, row_size=row_size, parse_special=parse_special, seed=seed)
    documents, _ = documents_of(checkpoint, text)
    module = module_of(checkpoint)
    from mambino.compress.importance import measure_importance
    from mambino.compress.importance_file import plot_importance, write_importance
    from mambino.compress.permute import order_of, permute

    stream = stream_of(documents, text)
    importance = measure_importance(module, [stream.batch(step) for step in range(batches)], on_progress=note)
    permute(module, order_of(module.config, importance))
    write_model(out, module, checkpoint)
    write_importance(out / RANKING, importance)
    try:
        plot_importance(out / RANKING, importance)
    except Unsupported as error:
        note(str(error))
    print(out)
    shown = ", ".join(map(str, reversed(importance.depth_order)))
    note(f"scored on {importance.num_tokens} tokens; layers, least useful first: {shown}")
