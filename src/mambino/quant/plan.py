"""QuantPlan: which number format every tensor of a model gets, as a value and as JSON, and what it amounts to.

Knows tensors by their own names (formats.names) and shapes only. Named plans are in mixes.py. Start at QuantPlan.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from mambino.errors import InputError
from mambino.quant.types import TYPES, QuantType

_FORMAT = "mambino-quant-plan"
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantPlan:
    """types: own tensor name -> format, for every tensor of the model; name is shown and kept in the file."""

    name: str
    types: Mapping[str, QuantType]

    def nbytes(self, shapes: Shapes) -> int:
        """Bytes of all tensors. Raises as require_fit."""
        self.require_fit(shapes)
        return sum(tensor_nbytes(self.types[own], shape) for own, shape in shapes.items())

    def require_fit(self, shapes: Shapes) -> None:
        """Raise InputError unless the plan names these tensors, and each row is a whole number of its blocks."""
        if missing := sorted(shapes.keys() ^ self.types.keys()):
            raise InputError(
                f"[plan] {self.name}: the plan and the model differ in {len(missing)} tensors, such as "
                f"{', '.join(missing[:4])}; make a plan for this model"
            )
        for own, shape in shapes.items():
            chosen = self.types[own]
            if shape[-1] % chosen.block_size:
                raise InputError(
                    f"[plan] tensor {own}: rows of {shape[-1]} do not divide into {chosen.name} blocks of "
                    f"{chosen.block_size}; choose a type with blocks of 32, or F16"
                )
            if len(shape) != 2 and chosen.name != "F32":
                raise InputError(
                    f"[plan] tensor {own}: only matrices can be quantised; expected F32, got {chosen.name}"
                )

    def to_json(self) -> str:
        """One line a tensor, so that a person can edit it."""
        types = {own: chosen.name for own, chosen in self.types.items()}
        return json.dumps({"format": _FORMAT, "name": self.name, "types": types}, indent=1) + "\n"


def plan_from_json(encoded: str | bytes, where: str) -> QuantPlan:
    """The plan that to_json wrote. Raises InputError that names where."""
    try:
        document = json.loads(encoded)
    except (ValueError, RecursionError) as error:
        raise InputError(f"[plan] {where}: not JSON ({error}); write one with `mambino quantize --save-plan`") from None
    if (
        not isinstance(document, dict)
        or document.get("format") != _FORMAT
        or not isinstance(document.get("types"), dict)
    ):
        raise InputError(f'[plan] {where}: expected an object with "format": "{_FORMAT}" and "types"')
    types = {}
    for own, name in document["types"].items():
        chosen = TYPES.get(name) if isinstance(name, str) else None
        if chosen is None or chosen.ggml_id is None:
            known = ", ".join(known for known, each in TYPES.items() if each.ggml_id is not None)
            raise InputError(f"[plan] {where}: tensor {own}: expected one of {known}, got {name!r:.40}")
        types[own] = chosen
    return QuantPlan(name=str(document.get("name", "plan"))[:80], types=types)


@dataclass(frozen=True, slots=True, kw_only=True)
class KindSize:
    """What one kind of tensor amounts to under a plan. types: format -> how many tensors have it."""

    kind: str
    tensors: int
    parameters: int
    nbytes: int
    types: Mapping[str, int]

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.nbytes / self.parameters


def sizes_by_kind(plan: QuantPlan, shapes: Shapes) -> list[KindSize]:
    """One entry for each kind of matrix in the order of the model, then "small" for everything else.

    Raises     InputError as QuantPlan.require_fit
    """
    plan.require_fit(shapes)
    kinds: dict[str, list[str]] = {}
    for own, shape in shapes.items():
        kinds.setdefault(kind_of(own) if len(shape) == 2 else "small", []).append(own)
    kinds["small"] = kinds.pop("small", [])
    return [_size_of(kind, owns, plan, shapes) for kind, owns in kinds.items() if owns]


def _size_of(kind: str, owns: Iterable[str], plan: QuantPlan, shapes: Shapes) -> KindSize:
    owns, types = list(owns), dict[str, int]()
    for own in owns:
        types[plan.types[own].name] = types.get(plan.types[own].name, 0) + 1
    return KindSize(
        kind=kind,
        tensors=len(owns),
        parameters=sum(prod(shapes[own]) for own in owns),
        nbytes=sum(tensor_nbytes(plan.types[own], shapes[own]) for own in owns),
        types=types,
    )


def tensor_nbytes(quant_type: QuantType, shape: tuple[int, ...]) -> int:
    return prod(shape[:-1]) * quant_type.row_nbytes(shape[-1])


def kind_of(own: str) -> str:
    """layers.3.mixer.in_proj.weight -> in_proj; embeddings.weight -> embeddings."""
    return own.removesuffix(".weight").rpartition(".")[2]
