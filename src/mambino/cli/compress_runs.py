"""What `compress train` and `compress distill` share: who may teach whom, what a run is, its steps and processes.

Start at require_same_ids and run_identity.
"""

from typing import TYPE_CHECKING

import click

from mambino.cli.compress_options import TextOptions
from mambino.errors import InputError
from mambino.formats.checkpoint import Checkpoint
from mambino.load import tokenizer_of

if TYPE_CHECKING:
    from mambino.model.hybrid import HybridLM
    from mambino.train.data import Documents
    from mambino.train.optim import Cosine
    from mambino.train.ranks import Ranks

accumulate_option = click.option(
    "--accumulate", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Passes that a step is divided into: the same step in less memory.",
)  # fmt: skip
recompute_option = click.option(
    "--recompute", is_flag=True, help="Keep little between layers, compute it twice: slower, less memory."
)


def require_same_ids(teacher: Checkpoint, student: Checkpoint) -> None:
    """Raises InputError unless both read the same ids, by their tokenizers and their configs."""
    from mambino.compress.distill import check_teacher

    ours, theirs = tokenizer_of(student), tokenizer_of(teacher)
    probe = range(min(ours.vocab_size, theirs.vocab_size))
    if ours.vocab_size != theirs.vocab_size or any(ours.token_bytes(i) != theirs.token_bytes(i) for i in probe):
        raise InputError(
            f"[distill] {teacher.path} and {student.path} have different tokenizers ({theirs.vocab_size} and "
            f"{ours.vocab_size} ids); a student learns only from a teacher that reads the same ids"
        )
    check_teacher(teacher.config, student.config)


def joined_ranks(rows: int) -> "Ranks":
    """The processes of torchrun, or this one alone. Raises UsageError for rows that do not divide among them."""
    from mambino.train.ranks import Ranks

    ranks = Ranks.from_environment()
    if rows % ranks.size:
        raise click.UsageError(f"--rows {rows}: do not divide among {ranks.size} processes; take a multiple")
    return ranks


def run_identity(
    student: "HybridLM", teacher: "HybridLM", training: "Documents", held_out: "Documents", text: TextOptions,
    ranks: "Ranks",
) -> dict[str, object]:  # fmt: skip
    """What makes a run another one, as JSON values by name; steps and sizes are the verb's own.

    Processes do not, but one process and several save in different forms.
    """
    from mambino.train.same_run import model_sha256

    return {
        "student": model_sha256(student),
        "teacher": model_sha256(teacher),
        "data": [training.sha256, held_out.sha256],
        "rows": text.rows,
        "row size": text.row_size,
        "seed": text.seed,
        "processes": "one" if ranks.size == 1 else "several",
    }


def schedule_of(steps: int) -> "Cosine":
    """Exactly so many steps, a fiftieth of them (at least one) warm-up."""
    from mambino.train.optim import Cosine

    warmup = max(1, steps // 50)
    return Cosine(warmup_steps=warmup, decay_steps=steps - warmup)
