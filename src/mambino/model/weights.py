"""Named tensors in and out of a HybridLM, checked: names, shapes, finite values.

Knows the own names (state_dict of HybridLM) in "hf" form; files and other names are formats' business.
Start at load_weights.
"""

from collections.abc import Iterable, Mapping

import torch

from mambino.errors import FormatError
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.model.hybrid import HybridLM
from mambino.quant.types import TYPES

_TYPE_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


def load_weights(model: HybridLM, tensors: Mapping[str, Tensor], *, device: torch.device | str | None = None) -> None:
    """Give the model these weights, decoded into its own dtypes; the model may live on the meta device until now.

    Mutates    model: parameters are replaced, on device (None: where they are)
    Raises     FormatError that names the tensors: missing, left over, of a wrong shape, NaN or infinite
    """
    wanted = model.state_dict()
    _check_names(wanted, tensors)
    loaded: dict[str, torch.Tensor] = {}
    for name, parameter in wanted.items():
        _check_shape(name, tuple(parameter.shape), tensors[name].shape)
        values = torch.from_numpy(tensors[name].to_float32())
        loaded[name] = values.to(device=parameter.device if device is None else device, dtype=parameter.dtype)
        _check_finite(name, loaded[name])
    model.load_state_dict(loaded, strict=True, assign=True)


def weights_of(model: HybridLM) -> dict[str, Tensor]:
    """Every weight under its own name, in "hf" form, in the number format it has in the model (float64 as F32)."""
    weights = {}
    for name, parameter in model.state_dict().items():
        values = parameter.detach().to(device="cpu", dtype=torch.float32).contiguous().numpy()
        weights[name] = tensor_from_float32(name, values, TYPES[_TYPE_NAMES.get(parameter.dtype, "F32")])
    return weights


def _check_names(wanted: Iterable[str], given: Iterable[str]) -> None:
    missing, left_over = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing or left_over:
        raise FormatError(
            f"[weights] the tensors do not fit the config: missing {_shown(missing)}; left over {_shown(left_over)}; "
            "check that config and weights come from one checkpoint"
        )


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return (", ".join(names[:8]) or "none") + more


def _check_shape(name: str, expected: tuple[int, ...], got: tuple[int, ...]) -> None:
    if expected != got:
        raise FormatError(
            f"[weights] tensor {name}: expected shape {expected}, got {got}; "
            "check that config and weights come from one checkpoint"
        )


def _check_finite(name: str, values: torch.Tensor) -> None:
    # One fast pass: the sum of magnitudes is finite only if every value is. A sum that overflows is looked at closely.
    if not torch.isfinite(values.abs().sum(dtype=torch.float32)) and not torch.isfinite(values).all():
        raise FormatError(
            f"[weights] tensor {name}: holds NaN or infinite values in {values.dtype}; the file is damaged (fetch it "
            "again), or the dtype is too narrow (use bfloat16 or float32)"
        )
