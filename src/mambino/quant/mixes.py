"""Named choices of number formats: what each kind of matrix gets, and what it gets where its rows are not whole blocks.

Knows tensors by their own names (formats.names) and shapes only. Start at plan_for_mix.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mambino.errors import InputError
from mambino.quant.plan import QuantPlan, kind_of
from mambino.quant.types import F32, TYPES, QuantType

Shapes = Mapping[str, tuple[int, ...]]

# For rows that are no multiple of 256. llama.cpp falls back to blocks of 32 with a bit more;
_WIDE_FALLBACK = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}
# the same bits spent elsewhere lower the divergence more, so these cost no more than what was wanted.
_TIGHT_FALLBACK = {"Q4_K": "IQ4_NL", "Q5_K": "Q5_0", "Q6_K": "Q5_1"}

# Matrices that write into the residual stream, and values: lowering them costs most a byte (docs/LOG.md).
_OUTPUTS = ("v_proj", "o_proj", "out_proj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """most: all matrices but the following. head: what makes logits, also as tied embeddings.

    raised: the type of more sensitive matrices: of raised_kinds, or if that is empty of llama.cpp's choice, which is
    v_proj, and down_proj in the first and last eighth of the layers and in every third between.
    """

    most: str
    head: str
    embeddings: str
    raised: str
    raised_kinds: tuple[str, ...] = ()
    fallback: Mapping[str, str]
    about: str


def _plain(most: str, head: str, about: str) -> Mix:
    return Mix(most=most, head=head, embeddings=most, raised=most, fallback=_WIDE_FALLBACK, about=about)


def _llama_cpp(most: str, about: str) -> Mix:
    return Mix(most=most, head="Q6_K", embeddings=most, raised="Q6_K", fallback=_WIDE_FALLBACK, about=about)


def _tight(most: str, raised: str, about: str) -> Mix:
    return Mix(
        most=most,
        head=raised,
        embeddings=most,
        raised=raised,
        raised_kinds=_OUTPUTS,
        fallback=_TIGHT_FALLBACK,
        about=about,
    )


MIXES: dict[str, Mix] = {
    "f16": _plain("F16", "F16", "half precision"),
    "bf16": _plain("BF16", "BF16", "half precision, the range of F32"),
    "q8_0": _plain("Q8_0", "Q8_0", "8.5 bits; hard to tell from the original"),
    "q6_k": _plain("Q6_K", "Q6_K", "6.6 bits; rows that are no multiple of 256 in Q8_0"),
    "m5": _tight("Q5_K", "Q6_K", "5.5 bits and a little: of the best use by our measurements"),
    "q5_k_m": _llama_cpp("Q5_K", "5.5 bits and more, as llama.cpp chooses"),
    "m4": _tight("Q4_K", "Q5_K", "4.5 bits and a little: of the best use by our measurements"),
    "q4_k_m": _llama_cpp("Q4_K", "4.5 bits and more, as llama.cpp chooses"),
    "iq4_nl": _plain("IQ4_NL", "Q6_K", "4.5 bits, levels spaced for normal values"),
    "q4_0": _plain("Q4_0", "Q6_K", "4.5 bits, the simplest format"),
}


def plan_for_mix(name: str, shapes: Shapes) -> QuantPlan:
    """The plan of a named mix for a model's tensors (own name -> shape): matrices as the mix says, the rest F32.

    Raises     InputError for an unknown name, or rows that no block of 32 divides
    """
    mix = MIXES.get(name.lower())
    if mix is None:
        raise InputError(f"[quant] mix: expected one of {', '.join(MIXES)}, got {name!r}")
    raised = _raised(mix, shapes)
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
            wanted = mix.raised if own in raised else mix.most
        types[own] = _fitting(TYPES[wanted], mix.fallback, own, shape[-1])
    return QuantPlan(name=name.lower(), types=types)


def _raised(mix: Mix, shapes: Shapes) -> set[str]:
    if mix.raised_kinds:
        return {own for own in shapes if kind_of(own) in mix.raised_kinds}
    down = [own for own in shapes if kind_of(own) == "down_proj"]
    chosen = {own for index, own in enumerate(down) if _is_sensitive(index, len(down))}
    return chosen | {own for own in shapes if kind_of(own) == "v_proj"}


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
