"""Measure how much each column of each matrix matters: the mean square of what enters it, over a text.

The error that a quantised matrix W + E makes is E x; averaged over inputs, column j of E counts by mean(x_j^2).
Knows the PyTorch model; formats/imatrix.py keeps the result. Start at column_importance.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mambino.errors import InputError
from mambino.lm import Float32Array, Int32Array
from mambino.model.hybrid import HybridLM


@torch.inference_mode()
def column_importance(
    model: HybridLM, pieces: Sequence[Int32Array], on_progress: Callable[[int, int], None] | None = None
) -> dict[str, Float32Array]:
    """Own name -> mean squared input (cols,), for every matrix that multiplies; every piece starts from empty state.

    The embedding table multiplies only where it is also the head; else it has no entry. on_progress gets
    (tokens done, tokens in all).
    Shapes     pieces: arrays of token ids (T_i,)
    Raises     InputError without tokens
    """
    total = sum(piece.size for piece in pieces)
    if total == 0:
        raise InputError("[calibrate] expected at least one token; give a longer text")
    done = 0
    with _listening(model) as squares:
        for piece in pieces:
            model.hidden(torch.from_numpy(piece.astype("int64"))[None].to(model.device))
            done += piece.size
            if on_progress:
                on_progress(done, total)
    return {own: (sums / total).float().cpu().numpy() for own, sums in squares.items()}


@contextmanager
def _listening(model: HybridLM) -> Iterator[dict[str, Tensor]]:
    """Own name -> sums of squared inputs, added to by every pass inside the block."""
    squares: dict[str, Tensor] = {}

    def add(own: str, x: Tensor) -> None:
        sums = x.double().square().sum(dim=tuple(range(x.ndim - 1)))
        squares[own] = squares[own] + sums if own in squares else sums

    head = "embeddings.weight" if model.config.tie_embeddings else "lm_head.weight"
    handles = [model.norm_f.register_forward_hook(lambda module, inputs, output: add(head, output))]
    for name, module in model.layers.named_modules(prefix="layers"):
        if isinstance(module, nn.Linear):
            handles.append(module.register_forward_pre_hook(_adder(f"{name}.weight", add)))
    try:
        yield squares
    finally:
        for handle in handles:
            handle.remove()


def _adder(own: str, add: Callable[[str, Tensor], None]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        add(own, inputs[0])

    return hook
