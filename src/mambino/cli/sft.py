"""`mambino sft`: teach a model from chats, all of its weights. Start at command."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mambino.chat.prompt import PromptEncoder
from mambino.cli.options import debug_option, json_option
from mambino.cli.terminal import human_count, note
from mambino.cli.torch_extra import require_torch
from mambino.cli.tuning import estimate, model_options, open_module, write_tuned
from mambino.export.place import require_model_place
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.hub.local import resolve
from mambino.load import tokenizer_of

if TYPE_CHECKING:
    from mambino.posttrain.sft import Prepared, SftReport, SftSettings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("data", metavar="CHATS", type=_FILE)
@model_options(is_out_required=False)
@click.option("--learning-rate", type=float, default=2e-5, show_default=True, metavar="X")
@click.option("--epochs", type=float, default=2.0, show_default=True, metavar="X")
@click.option("--rows", type=click.IntRange(1), default=4, show_default=True, help="Packed rows a step.")
@click.option(
    "--row-size",
    type=click.IntRange(8),
    default=2048,
    show_default=True,
    metavar="N",
    help="Most tokens of a sequence; longer ones are left out and counted.",
)
@click.option("--held-out", type=click.FloatRange(0, 0.5), default=0.05, show_default=True, metavar="SHARE")
@click.option(
    "--strip",
    type=click.FloatRange(0, 1),
    default=0.10,
    show_default=True,
    metavar="SHARE",
    help="Rows whose reasoning is removed: to answer at once when told to.",
)
@click.option(
    "--cut",
    type=click.FloatRange(0, 1),
    default=0.03,
    show_default=True,
    metavar="SHARE",
    help="Rows whose reasoning is cut short: to answer well when a budget ends.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--dry-run", is_flag=True, help="Check every row and report; train nothing.")
@json_option
@debug_option
def command(
    data: Path, model: str, out: Path | None, folder: Path | None, learning_rate: float, epochs: float, rows: int,
    row_size: int, held_out: float, strip: float, cut: float, seed: int, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Teach MODEL from CHATS, a .jsonl file with a conversation a line, in OpenAI's message form:

    \b
    {"messages": [{"role": "user", "content": "Hello!"},
                  {"role": "assistant", "reasoning_content": "A greeting.", "content": "Hello, you."}],
     "tools": [...]}

    The model's own chat template decides what is learnt: the assistant's words, calls and reasoning with their end
    tokens; never the questions or the results of tools. A file with a fault is refused, every fault named by its line.

    \b
    mambino sft chats.jsonl --dry-run                      what would be learnt, how long it takes
    mambino sft chats.jsonl -m hf-folder -o tuned          a Hugging Face folder
    mambino sft chats.jsonl -m model.gguf -o tuned.gguf    half precision; `mambino quantize` makes it small again

    Ctrl-C is safe: the same command goes on where it stopped. To teach a large model on little memory, see `tune`.
    """
    if out is None and not dry_run:
        raise click.UsageError("Missing option '--out'; or say --dry-run")
    require_torch()
    from mambino.posttrain.sft import SftSettings, prepare

    checkpoint = open_checkpoint(resolve(model))
    if out is not None:
        require_model_place(out)
    settings = SftSettings(
        learning_rate=learning_rate, epochs=epochs, rows=rows, row_size=row_size, held_out_share=held_out,
        stripped_share=strip, cut_share=cut, seed=seed,
    )  # fmt: skip
    prepared = prepare(data, PromptEncoder(tokenizer_of(checkpoint)), settings)
    report = prepared.report
    cost = estimate(
        checkpoint.config, num_tokens=report.steps * rows * report.row_size, rows=rows, row_size=report.row_size
    )
    for line in (*report_lines(report), cost):
        note(line)
    outcome: dict[str, object] = asdict(report) | {"masked_share": report.masked_share}
    if out is not None and not dry_run:
        outcome |= _trained(checkpoint, prepared, settings, out, folder or out.with_name(out.name + ".run"))
    if as_json:
        print(json.dumps(outcome))


def report_lines(report: "SftReport") -> list[str]:
    """For people."""
    lines = [
        f"{report.rows} rows, {report.held_out} of them held out; {report.sequences} sequences of "
        f"{report.median} tokens (median), {report.longest} at most",
        f"{human_count(report.tokens)} tokens, {human_count(report.trained_tokens)} of them learnt "
        f"({100 * report.masked_share:.0f} % only read); {report.steps} steps",
    ]
    if report.stripped or report.cut:
        lines.append(f"reasoning removed from {report.stripped} rows, cut short in {report.cut}")
    if report.too_long:
        shown = ", ".join(map(str, report.too_long[:8])) + (", ..." if len(report.too_long) > 8 else "")
        lines.append(f"warning: {len(report.too_long)} rows are too long and left out (lines {shown}); see --row-size")
    return lines


def _trained(
    checkpoint: Checkpoint, prepared: "Prepared", settings: "SftSettings", out: Path, folder: Path
) -> dict[str, object]:
    """Train, write out and the run's record; held-out losses before and after."""
    from mambino.model.weights import weights_of
    from mambino.posttrain.sft import fine_tune
    from mambino.train.metrics import held_out_loss
    from mambino.train.record import RunRecord, source_commit

    model = open_module(checkpoint, "float32")
    before = held_out_loss(model, prepared.held_out)
    progress = fine_tune(model, prepared, settings, folder=folder)
    after = held_out_loss(model, prepared.held_out)
    note(f"held-out loss {before:.3f} -> {after:.3f} nats a token")
    write_tuned(out, checkpoint, weights_of(model))
    RunRecord(
        name=out.name, commit=source_commit(Path(__file__).parent), config={"source": checkpoint.path.name},
        settings=asdict(settings), data_sha256={"chats": prepared.training.sha256}, num_steps=progress.step,
        num_tokens=progress.num_tokens, held_out_loss={"before": before, "after": after}, trajectory=[],
    ).write(folder / "run_record.json")  # fmt: skip
    note(f"written: {out}")
    return {"held_out_loss_before": before, "held_out_loss_after": after, "out": str(out)}
