"""What is wrong with a checkpoint that opens: in its weights, its number formats, its tokenizer, its template.

Every finding says what it leads to and what to do. Runs no model. Start at examine; doctor_repair.py repairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mambino.chat.messages import Message
from mambino.chat.template import ChatTemplate
from mambino.config import MambaSpec
from mambino.errors import FormatError, TemplateError
from mambino.export.elsewhere import folder_note, llama_cpp_opens
from mambino.formats.checkpoint import Checkpoint
from mambino.formats.tensor import Tensor
from mambino.tokenizer.tokenizer import Tokenizer

Level = Literal["error", "warning", "note"]

# The published Nemotron 3 Nano 4B has rows of norm about 1e-8 among rows of about 1: an RMS norm multiplies the
# gradient of such a row by a hundred million.
_DEAD_SHARE = 1e-3  # of the norm of a live row,
_LIVE_QUANTILE = 0.99  # which one row in a hundred is taken to be at least; the largest may be an outlier
DELICATE = ("A_log", ".D", "dt_bias", "norm.weight", "norm_f.weight")
_ROWS_PER_PASS = 8192
_SLOWEST_STEP = 10.0  # softplus(dt_bias) above this: one token wipes the state


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """error: wrong results. warning: trouble in training or in other programs. note: good to know."""

    level: Level
    where: str
    what: str
    remedy: str
    can_repair: bool = False


def examine(checkpoint: Checkpoint, tokenizer: Tokenizer | None) -> list[Finding]:
    """All findings, errors first. Reads every weight once. tokenizer None: it could not be opened (said elsewhere)."""
    found = [*_values(checkpoint), *_formats(checkpoint), *_dead_rows(checkpoint), *_time_steps(checkpoint)]
    found += _other_programs(checkpoint)
    if tokenizer is not None:
        found += [*_vocabulary(checkpoint, tokenizer), *_template(checkpoint, tokenizer)]
    order: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def dead_rows(embeddings: Tensor) -> NDArray[np.intp]:
    """Rows whose norm is zero, or under a thousandth of the norm of a live row; most rows may be dead."""
    norms = np.concatenate([np.linalg.norm(rows, axis=1) for rows in _row_blocks(embeddings)])
    finite = norms[np.isfinite(norms)]  # others are damage, found elsewhere
    live = float(np.quantile(finite, _LIVE_QUANTILE)) if finite.size else 0.0
    return np.flatnonzero((norms < _DEAD_SHARE * live) | (norms == 0))


def _row_blocks(tensor: Tensor) -> Iterator[NDArray[np.float32]]:
    for start in range(0, tensor.rows, _ROWS_PER_PASS):
        raw = tensor.raw_rows[start : start + _ROWS_PER_PASS]
        scale = tensor.scale
        if scale is not None and scale.size > 1:
            scale = scale[start : start + _ROWS_PER_PASS]
        yield replace(tensor, shape=(len(raw), tensor.cols), data=raw.reshape(-1), scale=scale).to_float32()


def _values(checkpoint: Checkpoint) -> Iterator[Finding]:
    for name, tensor in checkpoint.stored.items():
        try:
            tensor.require_finite()
        except FormatError:
            yield Finding(level="error", where=name, what="holds NaN or infinite values",
                          remedy="fetch or train it again; nothing can be recovered from them")  # fmt: skip


def _formats(checkpoint: Checkpoint) -> Iterator[Finding]:
    narrow = [
        name for name, tensor in checkpoint.stored.items()
        if name.endswith(DELICATE) and tensor.type.name != "F32"
    ]  # fmt: skip
    if narrow:
        kinds = sorted({checkpoint.stored[name].type.name for name in narrow})
        yield Finding(
            level="note", where=_listed(narrow), can_repair=True,
            what=f"{len(narrow)} delicate tensors (decay, time steps, norms) are stored as {', '.join(kinds)}",
            remedy="they are computed in float32 here; training further in that type rounds small updates away",
        )  # fmt: skip
    for name, tensor in checkpoint.stored.items():
        if tensor.type.name == "F16":
            largest = max(float(np.abs(rows).max()) for rows in _row_blocks(tensor))
            if largest > 0.25 * float(np.finfo(np.float16).max):
                yield Finding(level="warning", where=name, what=f"values up to {largest:.3g} in F16 (limit 65504)",
                              remedy="store it as BF16 or F32: products of such values overflow F16")  # fmt: skip


def _dead_rows(checkpoint: Checkpoint) -> Iterator[Finding]:
    embeddings = checkpoint.stored["embeddings.weight"]
    rows = dead_rows(embeddings)
    if len(rows) == embeddings.rows:
        yield Finding(level="error", where="embeddings.weight", what="all rows are zero: the model reads nothing",
                      remedy="fetch or train it again; nothing can be recovered from them")  # fmt: skip
    elif len(rows):
        yield Finding(
            level="warning", where="embeddings.weight", can_repair=True,
            what=f"{len(rows)} dead rows (norm under a thousandth of a live row's), ids {_listed(rows.tolist())}",
            remedy="harmless to run; in training a token of such an id blows the gradient up: repair before training",
        )  # fmt: skip


def _other_programs(checkpoint: Checkpoint) -> Iterator[Finding]:
    remedy = "if another program shall open it, cut or train a size that is the same in all layers (no --uneven)"
    if checkpoint.kind == "hf" and (what := folder_note(checkpoint.config)) is not None:
        yield Finding(level="warning", where="layers", what=what, remedy=remedy)
    if checkpoint.kind == "gguf" and not llama_cpp_opens(checkpoint.config):
        yield Finding(level="warning", where="layers", remedy=remedy,
                      what="llama.cpp does not open this file: it wants one size for all layers of a kind")  # fmt: skip


def _time_steps(checkpoint: Checkpoint) -> Iterator[Finding]:
    for index, layer in enumerate(checkpoint.config.layers):
        if not isinstance(layer, MambaSpec):
            continue
        name = f"layers.{index}.mixer.dt_bias"
        bias = checkpoint.stored[name].to_float32()
        if np.isfinite(bias).all() and float(bias.max()) > _SLOWEST_STEP:
            yield Finding(level="warning", where=name, what=f"time steps of {float(bias.max()):.3g} and more",
                          remedy="those heads forget everything at each token; check the conversion")  # fmt: skip
        if layer.time_step_limit[1] < float("inf") and checkpoint.kind == "hf":
            yield Finding(level="note", where=name, what=f"time steps are clamped to {layer.time_step_limit}",
                          remedy="GGUF cannot hold a clamp; export will refuse this model")  # fmt: skip


def _vocabulary(checkpoint: Checkpoint, tokenizer: Tokenizer) -> Iterator[Finding]:
    config = checkpoint.config
    if tokenizer.vocab_size > config.vocab_size:
        yield Finding(
            level="error", where="tokenizer",
            what=f"has {tokenizer.vocab_size} ids, the model {config.vocab_size}: some text cannot be read",
            remedy="use the tokenizer that the model was trained with",
        )  # fmt: skip
    elif tokenizer.vocab_size < config.vocab_size:
        spare = config.vocab_size - tokenizer.vocab_size
        yield Finding(level="note", where="tokenizer", what=f"{spare} rows of the model have no token",
                      remedy="usual padding; sampling never chooses them if they were trained at all")  # fmt: skip
    if not config.eos_token_ids and not tokenizer.eos_token_ids:
        yield Finding(level="warning", where="config", what="no end-of-text token is named: answers run to the limit",
                      remedy="name eos_token_id in generation_config.json")  # fmt: skip
    if config.bos_token_id is not None and tokenizer.bos_token_id not in (None, config.bos_token_id):
        yield Finding(
            level="warning", where="config",
            what=f"bos_token_id is {config.bos_token_id}, the tokenizer's is {tokenizer.bos_token_id}",
            remedy="find out which one the model was trained with, and name that one in both",
        )  # fmt: skip


def _template(checkpoint: Checkpoint, tokenizer: Tokenizer) -> Iterator[Finding]:
    if checkpoint.chat_template is None:
        yield Finding(level="note", where="chat template", what="there is none", remedy="use run --raw, or teach it")
        return
    try:
        answer = _rendered_answer(checkpoint.chat_template, tokenizer)
    except TemplateError as error:
        yield Finding(level="error", where="chat template", what=str(error), remedy="take the template of the original")
        return
    control = set(tokenizer.special_tokens.values())
    if not control.intersection(answer.whole):
        yield Finding(
            level="error", where="chat template",
            what="nothing that it writes is a control token of this tokenizer: turns look like plain text to the model",
            remedy="template and tokenizer are of different models; take both from one",
        )  # fmt: skip
    end = missing_turn_end(checkpoint, tokenizer)
    if end is not None:
        shown = tokenizer.decode([end])
        yield Finding(
            level="error", where="chat template", can_repair=True,
            what=f"an answer ends with {shown!r} (id {end}), which is no end token: answers run on",
            remedy=f"add {end} to eos_token_id in generation_config.json",
        )  # fmt: skip


def missing_turn_end(checkpoint: Checkpoint, tokenizer: Tokenizer) -> int | None:
    """The control token that ends an answer by the template, where no end token is among those that do."""
    assert checkpoint.chat_template is not None
    control = set(tokenizer.special_tokens.values())
    enders = [token for token in _rendered_answer(checkpoint.chat_template, tokenizer).end if token in control]
    stops = {*checkpoint.config.eos_token_ids, *tokenizer.eos_token_ids}
    return None if not enders or stops.intersection(enders) else enders[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rendered:
    """Ids of a short conversation, and of what follows its answer's last word."""

    whole: list[int]
    end: list[int]


def _rendered_answer(source: str, tokenizer: Tokenizer) -> _Rendered:
    names = {token_id: text for text, token_id in tokenizer.special_tokens.items()}
    eos = next((names[token] for token in tokenizer.eos_token_ids if token in names), "")
    conversation = [Message(role="user", content="Hi."), Message(role="assistant", content="Hello.")]
    template = ChatTemplate(source, eos_token=eos)
    template.render([Message(role="system", content="Be kind."), *conversation])
    text = template.render(conversation, add_generation_prompt=False)
    return _Rendered(
        whole=tokenizer.encode(text, parse_special=True),
        end=tokenizer.encode(text.rpartition("Hello.")[2], parse_special=True),
    )


def _listed(items: list[str] | list[int]) -> str:
    more = f" and {len(items) - 6} more" if len(items) > 6 else ""
    return ", ".join(map(str, items[:6])) + more
