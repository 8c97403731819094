"""`mambino tune`: a person's own notes or chats to an adapter, with a look before and after. Start at command."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mambino.chat.answering import Answerer
from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.chat.request import AnswerRequest
from mambino.cli.options import debug_option, json_option
from mambino.cli.sft import report_lines
from mambino.cli.terminal import note
from mambino.cli.torch_extra import require_torch
from mambino.cli.tuning import estimate, open_module
from mambino.export.place import require_model_place
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.formats.gguf_adapter import write_gguf_adapter
from mambino.formats.peft_adapter import write_peft_adapter
from mambino.generation.params import SamplingParams
from mambino.hub.local import BUNDLED, resolve
from mambino.load import tokenizer_of

if TYPE_CHECKING:
    import torch

    from mambino.model.hybrid import HybridLM
    from mambino.posttrain.sft import Prepared, SftSettings

_SAMPLE_TOKENS = 60
_ENOUGH_TO_HOLD_OUT = 20  # pieces; of fewer, every one is wanted


@click.command()
@click.argument("notes", metavar="NOTES", type=click.Path(exists=True, path_type=Path))
@click.option("-m", "--model", default=BUNDLED, show_default=True, metavar="MODEL", help="What the adapter is for.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), metavar="ADAPTER", help="NAME.gguf, or a folder in PEFT's form."
)
@click.option(
    "--run",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Where the run lives, and goes on from.  [default: ADAPTER.run]",
)
@click.option("--rank", type=click.IntRange(1, 1024), default=16, show_default=True, help="Of every matrix.")
@click.option("--alpha", type=float, metavar="X", help="Strength.  [default: twice the rank]")
@click.option("--learning-rate", type=float, default=5e-4, show_default=True, metavar="X")
@click.option("--epochs", type=float, default=4.0, show_default=True, metavar="X")
@click.option("--rows", type=click.IntRange(1), default=2, show_default=True, help="Packed rows a step.")
@click.option("--row-size", type=click.IntRange(8), default=1024, show_default=True, metavar="N")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Of the frozen weights; bfloat16 halves the memory.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--dry-run", is_flag=True, help="Only say what would be learnt and what it takes.")
@json_option
@debug_option
def command(
    notes: Path, model: str, out: Path | None, folder: Path | None, rank: int, alpha: float | None,
    learning_rate: float, epochs: float, rows: int, row_size: int, dtype: str, seed: int, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Teach MODEL from NOTES: a file, or a folder of .md, .txt and .jsonl (chats) files, into a small adapter (LoRA).

    Every projection of every layer gets one, Mamba layers too. Notes are cut into sections at their headings, and
    learnt as text and as answers about the heading. Some are held out, and a few questions asked, before and after.

    \b
    mambino tune notes/ --dry-run                       how much there is, how long it takes
    mambino tune notes/ -m model.gguf -o mine.gguf      llama.cpp reads it, too
    mambino chat -m model.gguf --adapter mine.gguf      use it

    The model itself is not changed. Ctrl-C is safe: the same command goes on where it stopped.
    """
    if out is None and not dry_run:
        raise click.UsageError("Missing option '--out'; or say --dry-run")
    if out is not None:
        require_model_place(out)
    require_torch()
    from mambino.posttrain.lora import LoraSettings, add_lora
    from mambino.posttrain.notes import read_notes
    from mambino.posttrain.sft import SftSettings, arrange

    checkpoint = open_checkpoint(resolve(model))
    read = read_notes(notes, PromptEncoder(tokenizer_of(checkpoint)))
    settings = SftSettings(
        learning_rate=learning_rate,
        epochs=epochs,
        rows=rows,
        row_size=row_size,
        seed=seed,
        held_out_share=0.05 if len(read.units) >= _ENOUGH_TO_HOLD_OUT else 0.0,
    )
    prepared = arrange(read.units, settings)
    lora = LoraSettings(rank=rank, alpha=2.0 * rank if alpha is None else alpha)
    tokens = prepared.report.steps * rows * prepared.report.row_size
    cost = estimate(
        checkpoint.config, num_tokens=tokens, rows=rows, row_size=prepared.report.row_size, trained_share=0.02
    )
    for line in (f"{read.num_files} files", *report_lines(prepared.report), cost):
        note(line)
    outcome: dict[str, object] = asdict(prepared.report)
    if out is not None and not dry_run:
        module = open_module(checkpoint, dtype)
        looks = [_look(module, checkpoint, prepared, read.questions)]
        add_lora(module, lora, generator=seeded(seed))
        outcome |= _trained(module, prepared, settings, checkpoint, out, folder or out.with_name(out.name + ".run"))
        looks.append(_look(module, checkpoint, prepared, read.questions))
        for line in _compared(read.questions, *looks):
            note(line)
        outcome |= {"before": asdict(looks[0]), "after": asdict(looks[1]), "questions": list(read.questions)}
    if as_json:
        print(json.dumps(outcome))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """learnt and held_out: nats a token. answers: to the questions, the likeliest words."""

    learnt: float
    held_out: float
    answers: tuple[str, ...]


def seeded(seed: int) -> "torch.Generator":
    import torch

    return torch.Generator().manual_seed(seed)


def _look(module: "HybridLM", checkpoint: Checkpoint, prepared: "Prepared", questions: tuple[str, ...]) -> _Look:
    from mambino.model.torch_lm import TorchLM
    from mambino.posttrain.sft import sample_batches
    from mambino.train.metrics import held_out_loss

    answerer = Answerer(TorchLM(module), tokenizer_of(checkpoint), context=1024)
    params = SamplingParams(temperature=0.0, max_tokens=_SAMPLE_TOKENS)
    answers = []
    for question in questions:
        request = AnswerRequest(messages=(Message(role="user", content=question[:500]),), params=params)
        with answerer.answer(request) as answer:
            for _ in answer:
                pass
            answers.append(answer.message.content if answer.message else "")
    return _Look(
        learnt=held_out_loss(module, sample_batches(prepared)),
        held_out=held_out_loss(module, prepared.held_out),
        answers=tuple(answers),
    )


def _compared(questions: tuple[str, ...], before: _Look, after: _Look) -> list[str]:
    """For people."""
    lines = [f"loss on what was learnt {before.learnt:.3f} -> {after.learnt:.3f} nats a token"]
    if before.held_out:
        lines.append(f"loss on what was held out {before.held_out:.3f} -> {after.held_out:.3f}")
    if after.learnt > 0.98 * before.learnt:
        lines.append("warning: hardly anything was learnt; raise --epochs or --learning-rate")
    for question, old, new in zip(questions, before.answers, after.answers, strict=True):
        lines += [f"> {_short(question)}", f"  before: {_short(old)}", f"  after:  {_short(new)}"]
    return lines


def _short(text: str) -> str:
    return " ".join(text.split())[:110]


def _trained(
    module: "HybridLM", prepared: "Prepared", settings: "SftSettings", checkpoint: Checkpoint, out: Path, folder: Path
) -> dict[str, object]:
    """Train and write the adapter and the run's record."""
    from mambino.posttrain.lora import adapter_of, coverage
    from mambino.posttrain.sft import fine_tune
    from mambino.train.record import RunRecord, source_commit

    reach = coverage(adapter_of(module), checkpoint.config.layers, checkpoint.config.num_parameters)
    note(f"adapter: {reach}")
    progress = fine_tune(module, prepared, settings, folder=folder)
    adapter = adapter_of(module)
    if out.suffix == ".gguf":
        write_gguf_adapter(out, adapter, checkpoint.config)
    else:
        write_peft_adapter(out, adapter, checkpoint.config, base=checkpoint.path.name)
    RunRecord(
        name=out.name, commit=source_commit(Path(__file__).parent), config={"source": checkpoint.path.name},
        settings=asdict(settings), data_sha256={"notes": prepared.training.sha256}, num_steps=progress.step,
        num_tokens=progress.num_tokens, held_out_loss={}, trajectory=[],
    ).write(folder / "run_record.json")  # fmt: skip
    note(f"written: {out}")
    return {"out": str(out), "coverage": str(reach), "parameters": adapter.num_parameters}
