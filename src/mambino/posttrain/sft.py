"""Supervised fine-tuning on chats: rows to packed documents, a report before any compute, one training run.

Everything about reading is in rows.py and spans.py, everything about steps in train.loop. Start at prepare and
fine_tune.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

import numpy as np

from mambino.chat.prompt import PromptEncoder
from mambino.errors import InputError, TemplateError
from mambino.model.hybrid import HybridLM
from mambino.posttrain.rows import ChatRow, Fault, read_rows, require_sound
from mambino.posttrain.spans import sequences
from mambino.train.checkpoint import Progress
from mambino.train.data import Batch, Document, Documents, MixedBatches, fill, pack
from mambino.train.loop import LoopSettings, language_loss, train
from mambino.train.optim import Cosine, Optimizer, OptimSettings
from mambino.train.same_run import require_same_run

_ROW_STEP = 64  # row sizes are multiples of the recurrence's chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSettings:
    """stripped_share of the rows that reason lose all reasoning; cut_share keep only a beginning of each.

    Both teach obedience: to answer without thinking, and after thinking that was cut short by a budget. row_size is
    the most tokens of a sequence (longer ones are left out and counted), rows how many a step packs.

    Source     shares of Nemotron 3 Nano's technical report: 10 % and 3 %
    """

    learning_rate: float
    epochs: float = 2.0
    rows: int = 4
    row_size: int = 2048
    held_out_share: float = 0.05
    stripped_share: float = 0.10
    cut_share: float = 0.03
    weight_decay: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        shares = (self.held_out_share, self.stripped_share, self.cut_share)
        if min(self.learning_rate, self.epochs, self.rows, self.row_size) <= 0 or not all(0 <= s < 1 for s in shares):
            raise InputError(f"[sft] expected positive sizes and shares from 0 to below 1, got {self}")
        if self.stripped_share + self.cut_share > 1:
            raise InputError("[sft] stripped_share and cut_share together exceed all rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class SftReport:
    """What a run would learn from. trained_tokens are those of the answers; too_long are lines that were left out."""

    rows: int
    sequences: int
    tokens: int
    trained_tokens: int
    longest: int
    median: int
    stripped: int
    cut: int
    held_out: int
    too_long: tuple[int, ...]
    row_size: int
    steps: int

    @property
    def masked_share(self) -> float:
        """Share of tokens that are read, but not learnt."""
        return 1.0 - self.trained_tokens / self.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    training: Documents
    held_out: tuple[Batch, ...]
    report: SftReport


def prepare(path: Path, prompt: PromptEncoder, settings: SftSettings) -> Prepared:
    """Read, check, vary, render and encode a file of chats. Deterministic in file, template and settings.

    Raises     InputError that lists every fault by line; nothing is used of a file that has one
    """
    read = read_rows(path)
    faults, used = list(read.faults), list[tuple[ChatRow, list[Document]]]()
    stripped = cut = 0
    for row in read.rows:
        varied = vary_reasoning(row, settings)
        stripped += varied.was_stripped
        cut += varied.was_cut
        try:
            used.append((row, sequences(varied.row, prompt)))
        except (InputError, TemplateError) as error:
            faults.append(Fault(line=row.line, problem=str(error)))
    require_sound(path, sorted(faults, key=lambda fault: fault.line), len(read.rows))
    return arrange([(row.line, found) for row, found in used], settings, stripped=stripped, cut=cut)


def arrange(
    units: Sequence[tuple[int, Sequence[Document]]], settings: SftSettings, *, stripped: int = 0, cut: int = 0
) -> Prepared:
    """Hold out whole units (a number that names each, and its documents), leave out those too long, and report.

    Raises     InputError if every unit is too long
    """
    too_long = tuple(line for line, found in units if max(map(len, found)) > settings.row_size)
    fitting = [(line, found) for line, found in units if line not in too_long]
    if not fitting:
        raise InputError(f"[sft] every row is longer than {settings.row_size} tokens; raise --row-size")
    held_out_lines = _held_out_lines([line for line, _ in fitting], settings)
    training = [document for line, found in fitting if line not in held_out_lines for document in found]
    held_out = [document for line, found in fitting if line in held_out_lines for document in found]
    everything = training + held_out
    longest = max(map(len, everything))
    row_size = min(settings.row_size, -(-longest // _ROW_STEP) * _ROW_STEP)
    num_rows = len(pack([len(document) for document in training], row_size))
    return Prepared(
        training=Documents.joined(training),
        held_out=tuple(_batches(held_out, settings.rows, row_size)),
        report=SftReport(
            rows=len(units), sequences=len(everything), tokens=sum(map(len, everything)),
            trained_tokens=sum(int(document.counted.sum()) for document in everything), longest=longest,
            median=int(np.median([len(document) for document in everything])), stripped=stripped, cut=cut,
            held_out=len(held_out_lines), too_long=too_long, row_size=row_size,
            steps=max(1, math.ceil(settings.epochs * num_rows / settings.rows)),
        ),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Varied:
    row: ChatRow
    was_stripped: bool = False
    was_cut: bool = False


def vary_reasoning(row: ChatRow, settings: SftSettings) -> Varied:
    """The row, or it without its reasoning, or with each reasoning cut at a random word; drawn from (seed, line)."""
    if not any(message.reasoning for message in row.messages):
        return Varied(row=row)
    rng = np.random.default_rng((settings.seed, row.line))
    draw = rng.random()
    if draw < settings.stripped_share:
        messages = tuple(replace(message, reasoning=None) for message in row.messages)
        return Varied(row=replace(row, messages=messages), was_stripped=True)
    if draw < settings.stripped_share + settings.cut_share:
        messages = tuple(
            replace(message, reasoning=_beginning(message.reasoning, rng)) if message.reasoning else message
            for message in row.messages
        )
        return Varied(row=replace(row, messages=messages), was_cut=True)
    return Varied(row=row)


def _beginning(text: str, rng: np.random.Generator) -> str:
    """At least a word, and less than all where there are two."""
    ends = [place for place, letter in enumerate(text) if letter.isspace() and place and not text[place - 1].isspace()]
    return text[: ends[int(rng.integers(len(ends)))]] if ends else text


def _held_out_lines(lines: Sequence[int], settings: SftSettings) -> frozenset[int]:
    """A seeded choice; at least one row where any share is asked for, and never all."""
    count = min(len(lines) - 1, math.ceil(settings.held_out_share * len(lines)))
    chosen = np.random.default_rng((settings.seed, 2)).choice(len(lines), size=max(0, count), replace=False)
    return frozenset(lines[int(index)] for index in chosen)


def _batches(documents: Sequence[Document], rows: int, row_size: int) -> list[Batch]:
    packed = [[documents[index] for index in row] for row in pack([len(one) for one in documents], row_size)]
    return [fill(packed[start : start + rows], row_size) for start in range(0, len(packed), rows)]


def sample_batches(prepared: Prepared, count: int = 8) -> list[Batch]:
    """A few rows of what is learnt, spread over it: how well it was learnt."""
    spread = np.unique(np.linspace(0, len(prepared.training) - 1, min(count, len(prepared.training))).astype(int))
    return _batches([prepared.training[int(index)] for index in spread], 1, prepared.report.row_size)


def fine_tune(
    model: HybridLM,
    prepared: Prepared,
    settings: SftSettings,
    *,
    folder: Path,
    loop: LoopSettings | None = None,
    progress_to: TextIO | None = None,
) -> Progress:
    """Train what of model requires gradients (all of it, or an adapter), continuing the run in folder if there is one.

    Mutates    model; folder
    Raises     InputError if folder holds a run on other data or settings; TrainingError as train does
    """
    require_same_run(folder, {"data": prepared.training.sha256, "settings": asdict(settings)})
    report = prepared.report
    warmup = min(20, max(1, report.steps // 10))
    optim = OptimSettings(
        learning_rate=settings.learning_rate, weight_decay=settings.weight_decay, betas=(0.9, 0.95), use_muon=False
    )
    batches = MixedBatches(
        {"chats": prepared.training}, lambda step: {"chats": 1.0},
        rows=settings.rows, row_size=report.row_size, seed=settings.seed,
    )  # fmt: skip
    return train(
        model,
        Optimizer.for_model(model, optim),
        Cosine(warmup_steps=warmup, decay_steps=max(0, report.steps - warmup)),
        batches,
        language_loss(),
        folder=folder,
        settings=loop or LoopSettings(),
        progress_to=progress_to,
    )
