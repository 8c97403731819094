"""The table of number formats: how many values and bytes a block has, and where its scales lie.

A row of a matrix is a whole number of blocks. Layouts are those of native/quant/blocks.h. Values are in decode.py.
Start at TYPES.
"""

from dataclasses import dataclass

from mambino.errors import FormatError, Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantType:
    """One number format.

    ggml_id is its number in a GGUF file, None where GGUF has no such type. scale_offsets are the byte offsets, inside
    a block, of its float16 scales; empty for plain floats, whose values are scales of nothing.
    """

    name: str
    ggml_id: int | None
    block_size: int
    block_nbytes: int
    is_float: bool
    scale_offsets: tuple[int, ...] = ()

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.block_nbytes / self.block_size

    def row_nbytes(self, cols: int) -> int:
        """Bytes of one row of cols values. Raises FormatError unless cols is a positive multiple of the block size."""
        if cols < 1 or cols % self.block_size:
            raise FormatError(
                f"[quant] {self.name}: expected rows of a multiple of {self.block_size} values, got {cols}; "
                "choose another type for this tensor (llama.cpp falls back to Q5_0 or Q8_0)"
            )
        return cols // self.block_size * self.block_nbytes


def _float(name: str, ggml_id: int | None, nbytes: int) -> QuantType:
    return QuantType(name=name, ggml_id=ggml_id, block_size=1, block_nbytes=nbytes, is_float=True)


def _block(name: str, ggml_id: int, size: int, nbytes: int, scale_offsets: tuple[int, ...]) -> QuantType:
    return QuantType(
        name=name, ggml_id=ggml_id, block_size=size, block_nbytes=nbytes, is_float=False, scale_offsets=scale_offsets
    )


F32 = _float("F32", 0, 4)
F16 = _float("F16", 1, 2)
BF16 = _float("BF16", 30, 2)
F8_E4M3 = _float("F8_E4M3", None, 1)
Q8_0 = _block("Q8_0", 8, 32, 34, (0,))

TYPES: dict[str, QuantType] = {
    quant_type.name: quant_type
    for quant_type in (
        F32,
        F16,
        BF16,
        F8_E4M3,
        Q8_0,
        _block("Q4_0", 2, 32, 18, (0,)),
        _block("Q4_1", 3, 32, 20, (0, 2)),
        _block("Q5_0", 6, 32, 22, (0,)),
        _block("Q5_1", 7, 32, 24, (0, 2)),
        _block("IQ4_NL", 20, 32, 18, (0,)),
        _block("Q4_K", 12, 256, 144, (0, 2)),
        _block("Q5_K", 13, 256, 176, (0, 2)),
        _block("Q6_K", 14, 256, 210, (208,)),
    )
}

_BY_GGML_ID = {quant_type.ggml_id: quant_type for quant_type in TYPES.values() if quant_type.ggml_id is not None}

# Types that GGUF files hold and mambino does not read, so that the error can name them.
_OTHER_GGML_NAMES = {
    9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
    21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M",
    34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip


def type_by_ggml_id(ggml_id: int) -> QuantType:
    """The type with this number in a GGUF file.

    Raises     Unsupported, naming the type where its name is known
    """
    quant_type = _BY_GGML_ID.get(ggml_id)
    if quant_type is None:
        name = _OTHER_GGML_NAMES.get(ggml_id)
        shown = f"{name} (GGML type {ggml_id})" if name else f"unknown GGML type {ggml_id}"
        raise Unsupported(f"{shown}; supported types are {', '.join(t.name for t in _BY_GGML_ID.values())}")
    return quant_type
