"""Named choices of number formats: what each kind of matrix gets, and what it gets where its rows are not whole blocks.

Knows tensors by their own names (formats.names) and shapes only. Start at plan_for_mix.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mambino.errors import InputError
from mambino.quant.plan import QuantPlan, kind_of
from mambino.quant.types import F32, TYPES, QuantType

Shapes = Mapping[str, tuple[int, ...]]

# Same rank of quality in blocks of 32, for rows that are not a multiple of 256: what llama.cpp falls back to,
_WIDE_FALLBACK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
# and what costs no more bits: measured (benchmarks/quality.py), the same size buys more where a plan spends it.
_TIGHT_FALLBACK = {"Q4_K": "IQ4_NL", "Q5_K": "Q5_0", "Q6_K": "Q8_0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """most: all matrices but the following. head: what makes logits, also as tied embeddings.

    sensitive: every v_proj, and down_proj of the first and last eighth of the layers and of every third between, as
    llama.cpp's "_M" mixes choose.
    """

    most: str
    head: str
    embeddings: str
    sensitive: str
    fallback: Mapping[str, str]
    about: str


def _plain(most: str, head: str, about: str) -> Mix:
    return Mix(most=most, head=head, embeddings=most, sensitive=most, fallback=_WIDE_FALLBACK, about=about)


MIXES: dict[str, Mix] = {
    "f16": _plain("F16", "F16", "half precision"),
    "bf16": _plain("BF16", "BF16", "half precision, the range of F32"),
    "q8_0": _plain("Q8_0", "Q8_0", "8.5 bits; hard to tell from the original"),
    "q6_k": _plain("Q6_K", "Q6_K", "6.6 bits; rows that are no multiple of 256 in Q8_0"),
    "q5_k_m": Mix(
        most="Q5_K", head="Q6_K", embeddings="Q5_K", sensitive="Q6_K", fallback=_WIDE_FALLBACK,
        about="llama.cpp's choice of 5.5 bits and more",
    ),
    "q4_k_m": Mix(
        most="Q4_K", head="Q6_K", embeddings="Q4_K", sensitive="Q6_K", fallback=_WIDE_FALLBACK,
        about="llama.cpp's choice of 4.5 bits and more",
    ),
    "q4_0": _plain("Q4_0", "Q6_K", "4.5 bits, the simplest format"),
    "iq4_nl": _plain("IQ4_NL", "Q6_K", "4.5 bits, levels spaced for normal values"),
    "m5": Mix(
        most="Q5_K", head="Q6_K", embeddings="Q4_K", sensitive="Q6_K", fallback=_TIGHT_FALLBACK,
        about="as q5_k_m, without spending bits on rows that are no multiple of 256",
    ),
    "m4": Mix(
        most="Q4_K", head="Q5_K", embeddings="Q4_K", sensitive="Q5_K", fallback=_TIGHT_FALLBACK,
        about="as q4_k_m, without spending bits on rows that are no multiple of 256",
    ),
}  # fmt: skip


def plan_for_mix(name: str, shapes: Shapes) -> QuantPlan:
    """The plan of a named mix for a model's tensors (own name -> shape): matrices as the mix says, the rest F32.

    Raises     InputError for an unknown name, or rows that no block of 32 divides
    """
    mix = MIXES.get(name.lower())
    if mix is None:
        raise InputError(f"[quant] mix: expected one of {', '.join(MIXES)}, got {name!r}")
    down = [own for own in shapes if kind_of(own) == "down_proj"]
    wide = {own for index, own in enumerate(down) if _is_sensitive(index, len(down))}
    is_tied = "lm_head.weight" not in shapes
    types = {}
    for own, shape in shapes.items():
        if len(shape) != 2:
            types[own] = F32
            continue
        kind = kind_of(own)
        if kind == "lm_head" or (kind == "embeddings" and is_tied):
            wanted = mix.head
        elif kind == "embeddings":
            wanted = mix.embeddings
        else:
            wanted = mix.sensitive if kind == "v_proj" or own in wide else mix.most
        types[own] = _fitting(TYPES[wanted], mix.fallback, own, shape[-1])
    return QuantPlan(name=name.lower(), types=types)


def _is_sensitive(index: int, count: int) -> bool:
    """Of count down projections: the first and last eighth, and every third between (llama.cpp, use_more_bits)."""
    return index < count // 8 or index >= 7 * count // 8 or (index - count // 8) % 3 == 2


def _fitting(wanted: QuantType, fallback: Mapping[str, str], own: str, cols: int) -> QuantType:
    chosen = wanted
    if cols % chosen.block_size and chosen.name in fallback:
        chosen = TYPES[fallback[chosen.name]]
    if cols % chosen.block_size:
        raise InputError(
            f"[quant] tensor {own}: rows of {cols} are not whole blocks of {chosen.block_size}; use mix f16 or bf16"
        )
    return chosen


def described() -> str:
    """One line a mix, for --help."""
    width = max(map(len, MIXES))
    return "\n".join(f"{name:<{width}}  {mix.about}" for name, mix in MIXES.items())
