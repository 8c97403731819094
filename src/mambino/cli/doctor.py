"""`mambino doctor`: what is wrong with a model, and what to do about it. Start at command."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from mambino.cli.options import debug_option, json_option
from mambino.cli.terminal import Style, note, paint
from mambino.errors import MambinoError
from mambino.export.doctor import Finding, Level, examine
from mambino.export.doctor_repair import repair
from mambino.export.place import require_place
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.hub.local import BUNDLED, resolve
from mambino.load import tokenizer_of
from mambino.tokenizer.tokenizer import Tokenizer

_STYLES: dict[Level, Style] = {"error": "red", "warning": "yellow", "note": "dim"}


@click.command()
@click.argument("model", default=BUNDLED)
@click.option("--repair", "out", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Write a copy without what can be repaired, if that is all that is wrong.")  # fmt: skip
@json_option
@debug_option
def command(model: str, out: Path | None, as_json: bool) -> int:
    """Look for what is wrong with MODEL: missing and misshapen tensors, NaN, dead embedding rows, risky number
    formats, a tokenizer or a chat template that does not belong to it.

    The exit code is 1 if there is an error (wrong results), else 0.

    \b
    mambino doctor nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16
    mambino doctor folder/ --repair repaired/
    """
    path = resolve(model)
    if out is not None:
        require_place(out, makes_parents=True)
    try:
        checkpoint = open_checkpoint(path)
    except MambinoError as error:
        _show([Finding(level="error", where="file", what=str(error), remedy="nothing else can be looked at")], as_json)
        return 1
    tokenizer, trouble = _tokenizer(checkpoint)
    found = [*trouble, *examine(checkpoint, tokenizer)]
    _show(found, as_json)
    if out is not None:
        for sentence in repair(checkpoint, tokenizer, found, out) or ["nothing needed a repair"]:
            note(sentence)
        note(f"written to {out}")
    return int(any(finding.level == "error" for finding in found))


def _tokenizer(checkpoint: Checkpoint) -> tuple[Tokenizer | None, list[Finding]]:
    try:
        return tokenizer_of(checkpoint), []
    except MambinoError as error:
        remedy = "copy tokenizer.json beside the weights, or convert the model with its tokenizer"
        return None, [Finding(level="error", where="tokenizer", what=str(error), remedy=remedy)]


def _show(found: list[Finding], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], ensure_ascii=False))
        return
    for finding in found:
        label = paint(f"{finding.level:<8}", _STYLES[finding.level], sys.stdout)
        print(f"{label} {finding.where}: {finding.what}")
        print(f"         {finding.remedy}" + (" (--repair does it)" if finding.can_repair else ""))
    if not found:
        print("nothing found")
