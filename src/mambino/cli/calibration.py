"""What `quantize` needs a text for: column importance, and the divergence that a plan causes.

Composes tokenizer, torch model, engine and fidelity. Start at read_text, measured_importance and KlMeasure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from mambino.cli.opening import available_memory
from mambino.cli.progress import progress_bar
from mambino.errors import InputError, Unsupported
from mambino.evals.fidelity import compare_logits
from mambino.export.quantize import requantised
from mambino.export.retype import retyped
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.tensor import Tensor
from mambino.lm import Float32Array, Int32Array
from mambino.load import model_of, tokenizer_of
from mambino.quant.plan import QuantPlan
from mambino.quant.types import F32, Q8_0

_PIECE_TOKENS = 512
_MEASURED_PIECES = 2  # of at most _PIECE_TOKENS, held out from calibration
_LEAST_TOKENS = 64
_MAX_TEXT_NBYTES = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationText:
    """Token pieces: for importance, and held out for measuring. digest names the text."""

    calibrating: list[Int32Array]
    measuring: list[Int32Array]
    digest: str


def read_text(checkpoint: Checkpoint, path: Path, max_tokens: int) -> CalibrationText:
    """Pieces spread over the text, every few of them held out.

    Raises     InputError if the text is not UTF-8, too short or too long
    """
    if path.stat().st_size > _MAX_TEXT_NBYTES:
        raise InputError(f"{path}: a text of more than {_MAX_TEXT_NBYTES >> 20} MiB; a part of it calibrates as well")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason}); give a plain text file") from None
    ids = np.array(tokenizer_of(checkpoint).encode(text), np.int32)
    if ids.size < 2 * _LEAST_TOKENS:
        raise InputError(f"{path}: expected at least {2 * _LEAST_TOKENS} tokens of text, got {ids.size}")
    length = min(_PIECE_TOKENS, ids.size // 2)
    pieces = [ids[start : start + length] for start in range(0, ids.size - length + 1, length)]
    wanted = max(2, max_tokens // length + _MEASURED_PIECES)
    spread = np.unique(np.linspace(0, len(pieces) - 1, min(wanted, len(pieces))).astype(int))
    chosen = [pieces[index] for index in spread]
    held_out = {
        (len(chosen) * (2 * k + 1)) // (2 * _MEASURED_PIECES) for k in range(min(_MEASURED_PIECES, len(chosen) - 1))
    }
    return CalibrationText(
        calibrating=[piece for index, piece in enumerate(chosen) if index not in held_out],
        measuring=[piece for index, piece in enumerate(chosen) if index in held_out],
        digest=sha256(text.encode()).hexdigest()[:16],
    )


def measured_importance(checkpoint: Checkpoint, text: CalibrationText, threads: int) -> dict[str, Float32Array]:
    """Mean squared inputs of every matrix over the text, by the PyTorch model (bfloat16 where memory is short).

    Raises     Unsupported without PyTorch
    """
    try:
        from mambino.compress.calibrate import column_importance
        from mambino.model.torch_lm import TorchLM
    except ImportError as error:
        raise Unsupported("[quantize] --calibrate needs PyTorch: pip install 'mambino[torch]'") from error
    memory = available_memory()
    is_tight = memory is not None and 5 * checkpoint.config.num_parameters > memory
    model = model_of(checkpoint, backend="torch", dtype="bfloat16" if is_tight else "float32", threads=threads)
    assert isinstance(model, TorchLM)
    with progress_bar() as report:
        return column_importance(
            model.model, text.calibrating, lambda done, total: report("calibrating, tokens", done, total)
        )


class KlMeasure:
    """plan -> mean KL of the model under plan to the source model, nats, over held-out text.

    Holds the logits of the source and its Q8_0 form; a call encodes only what the plan has in other types.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        pieces: Sequence[Int32Array],
        importance: Mapping[str, Float32Array] | None,
        threads: int,
    ) -> None:
        self._checkpoint = checkpoint
        self._pieces = pieces
        self._importance = importance or {}
        self._threads = threads
        self._source = checkpoint.tensors("gguf")
        self._kept: dict[tuple[str, str], Tensor] = {}
        model = model_of(checkpoint, threads=threads)
        self._reference = [model.score(piece) for piece in pieces]

    def __call__(self, plan: QuantPlan) -> float:
        stored = {own: self._tensor(own, plan) for own in self._source}
        model = model_of(replace(self._checkpoint, kind="gguf", stored=stored), threads=self._threads)
        logits = [model.score(piece) for piece in self._pieces]
        fidelity = compare_logits(np.concatenate(self._reference), np.concatenate(logits), np.concatenate(self._pieces))
        return fidelity.kl

    def _tensor(self, own: str, plan: QuantPlan) -> Tensor:
        wanted = plan.types[own]
        key = (own, wanted.name)
        if key in self._kept:
            return self._kept[key]
        tensor = retyped(self._source[own], wanted, importance=self._importance.get(own), threads=self._threads)
        if wanted in (F32, Q8_0):
            self._kept[key] = tensor
        return tensor


def requantising_note(checkpoint: Checkpoint, plan: QuantPlan) -> str | None:
    """A warning where quantised values would be quantised again."""
    again = requantised(checkpoint, plan)
    if not again:
        return None
    types = sorted({checkpoint.stored[own].type.name for own in again})
    return (
        f"{len(again)} matrices of {checkpoint.path.name} are {', '.join(types)} already; quantised again they lose "
        "more than the original would: use an F16, BF16 or Q8_0 source if there is one"
    )
