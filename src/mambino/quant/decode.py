"""Decode every number format in plain NumPy: short, and the definition of right; encode.py is the way back.

A block is a NumPy record with the fields of native/quant/blocks.h; a decoder maps B blocks to (B, block_size) float32.
Knows nothing of files or tensors. Start at decode.

Source: the GGML block formats; values are stated beside each decoder.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mambino.errors import InputError
from mambino.quant.types import QuantType

Float32Array = NDArray[np.float32]
ByteArray = NDArray[np.uint8]

# Rows are decoded a few at a time, so that temporaries stay in cache and small against the result.
_VALUES_PER_PASS = 1 << 16

IQ4_VALUES = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.float32
)  # fmt: skip

LAYOUTS: dict[str, np.dtype[np.void]] = {
    "Q8_0": np.dtype([("d", "<f2"), ("q", "i1", 32)]),
    "Q4_0": np.dtype([("d", "<f2"), ("q", "u1", 16)]),
    "Q4_1": np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)]),
    "Q5_0": np.dtype([("d", "<f2"), ("high", "u1", 4), ("q", "u1", 16)]),
    "Q5_1": np.dtype([("d", "<f2"), ("m", "<f2"), ("high", "u1", 4), ("q", "u1", 16)]),
    "IQ4_NL": np.dtype([("d", "<f2"), ("q", "u1", 16)]),
    "Q4_K": np.dtype([("d", "<f2"), ("dmin", "<f2"), ("scales", "u1", 12), ("q", "u1", (4, 32))]),
    "Q5_K": np.dtype([("d", "<f2"), ("dmin", "<f2"), ("scales", "u1", 12), ("high", "u1", 32), ("q", "u1", (4, 32))]),
    "Q6_K": np.dtype([("low", "u1", (2, 64)), ("high", "u1", (2, 32)), ("scales", "i1", 16), ("d", "<f2")]),
}


def _column(halves: NDArray[np.float16]) -> Float32Array:
    """float16 (B,) -> float32 (B, 1)."""
    return halves.astype(np.float32)[:, None]


def _nibbles(packed: ByteArray) -> ByteArray:
    """(..., n) -> (..., 2, n): all low nibbles, then all high nibbles."""
    return np.stack([packed & 15, packed >> 4], axis=-2)


def _values_4bit(blocks: NDArray[np.void]) -> ByteArray:
    """(B, 32) of 0..15: element i is the low nibble of byte i, element i + 16 the high one."""
    return _nibbles(blocks["q"]).reshape(-1, 32)


def _values_5bit(blocks: NDArray[np.void]) -> ByteArray:
    """(B, 32) of 0..31: bit i of high is the fifth bit of element i."""
    fifth: ByteArray = np.unpackbits(blocks["high"], axis=-1, bitorder="little")
    return _values_4bit(blocks) | (fifth << np.uint8(4))


def _decode_q8_0(blocks: NDArray[np.void]) -> Float32Array:
    """w = d q"""
    return _column(blocks["d"]) * blocks["q"].astype(np.float32)


def _decode_q4_0(blocks: NDArray[np.void]) -> Float32Array:
    """w = d (q - 8)"""
    return _column(blocks["d"]) * (_values_4bit(blocks).astype(np.float32) - 8)


def _decode_q4_1(blocks: NDArray[np.void]) -> Float32Array:
    """w = d q + m"""
    return _column(blocks["d"]) * _values_4bit(blocks).astype(np.float32) + _column(blocks["m"])


def _decode_q5_0(blocks: NDArray[np.void]) -> Float32Array:
    """w = d (q - 16)"""
    return _column(blocks["d"]) * (_values_5bit(blocks).astype(np.float32) - 16)


def _decode_q5_1(blocks: NDArray[np.void]) -> Float32Array:
    """w = d q + m"""
    return _column(blocks["d"]) * _values_5bit(blocks).astype(np.float32) + _column(blocks["m"])


def _decode_iq4_nl(blocks: NDArray[np.void]) -> Float32Array:
    """w = d IQ4_VALUES[q]"""
    return _column(blocks["d"]) * IQ4_VALUES[_values_4bit(blocks)]


def _k_scales(blocks: NDArray[np.void]) -> tuple[Float32Array, Float32Array]:
    """The 8 scales d*sc and 8 offsets dmin*m of each block, both (B, 8, 1).

    Twelve bytes hold sixteen 6-bit numbers: bytes 0-3 and 4-7 carry sc and m of sub-blocks 0-3 in their low six bits;
    bytes 8-11 carry the low four bits of sub-blocks 4-7 (sc low nibble, m high nibble), whose top two bits are the top
    two of bytes 0-3 and 4-7.
    """
    first, second, third = np.split(blocks["scales"], 3, axis=-1)
    sc = np.concatenate([first & 63, (third & 15) | (first >> 6 << 4)], axis=-1)
    m = np.concatenate([second & 63, (third >> 4) | (second >> 6 << 4)], axis=-1)
    scale = _column(blocks["d"]) * sc.astype(np.float32)
    offset = _column(blocks["dmin"]) * m.astype(np.float32)
    return scale[:, :, None], offset[:, :, None]


def _decode_q4_k(blocks: NDArray[np.void]) -> Float32Array:
    """w = d sc q - dmin m, over 8 sub-blocks of 32; 32 bytes hold two sub-blocks, low nibbles first"""
    scale, offset = _k_scales(blocks)
    q = _nibbles(blocks["q"]).reshape(-1, 8, 32)
    return (scale * q.astype(np.float32) - offset).reshape(-1, 256)


def _decode_q5_k(blocks: NDArray[np.void]) -> Float32Array:
    """w = d sc q - dmin m, as Q4_K; bit s of high[i] is the fifth bit of element i of sub-block s"""
    scale, offset = _k_scales(blocks)
    bits = np.arange(8, dtype=np.uint8)[:, None]
    fifth = (blocks["high"][:, None, :] >> bits) & 1
    q = _nibbles(blocks["q"]).reshape(-1, 8, 32) | (fifth << 4)
    return (scale * q.astype(np.float32) - offset).reshape(-1, 256)


def _decode_q6_k(blocks: NDArray[np.void]) -> Float32Array:
    """w = d sc (q - 32), over 16 sub-blocks of 16

    Each half of 128 values: 64 bytes of low nibbles (first 64 values low, next 64 high) and 32 bytes of bit pairs, pair
    k of byte i belonging to value 32 k + i.
    """
    low = _nibbles(blocks["low"]).reshape(-1, 2, 4, 32)
    pairs = np.array([0, 2, 4, 6], dtype=np.uint8)[:, None]
    high = (blocks["high"][:, :, None, :] >> pairs) & 3
    q = (low | (high << 4)).astype(np.float32).reshape(-1, 16, 16) - 32
    scale = _column(blocks["d"]) * blocks["scales"].astype(np.float32)
    return (scale[:, :, None] * q).reshape(-1, 256)


_BLOCK_DECODERS: dict[str, Callable[[NDArray[np.void]], Float32Array]] = {
    "Q8_0": _decode_q8_0,
    "Q4_0": _decode_q4_0,
    "Q4_1": _decode_q4_1,
    "Q5_0": _decode_q5_0,
    "Q5_1": _decode_q5_1,
    "IQ4_NL": _decode_iq4_nl,
    "Q4_K": _decode_q4_k,
    "Q5_K": _decode_q5_k,
    "Q6_K": _decode_q6_k,
}


def _e4m3_values() -> Float32Array:
    """All 256 values of float8 E4M3 (finite form): bias 7, no infinities, S.1111.111 is NaN."""
    codes = np.arange(256)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    normal = np.ldexp(1 + mantissa / 8, exponent - 7)
    subnormal = np.ldexp(mantissa / 8, -6)
    magnitude = np.where(exponent == 0, subnormal, normal)
    magnitude[(codes & 127) == 127] = np.nan
    return np.where(codes >= 128, -magnitude, magnitude).astype(np.float32)


_E4M3_VALUES = _e4m3_values()


def _decode_float(name: str, raw: ByteArray) -> Float32Array:
    """Plain floats: (rows, row_nbytes) -> (rows, cols), always a new array."""
    match name:
        case "F32":
            return raw.view("<f4").astype(np.float32)
        case "F16":
            return raw.view("<f2").astype(np.float32)
        case "BF16":
            return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
        case _:
            return _E4M3_VALUES[raw]


def decode(quant_type: QuantType, raw: ByteArray, cols: int) -> Float32Array:
    """Values of raw rows, as a new array.

    Shapes     raw (rows, quant_type.row_nbytes(cols)) -> (rows, cols)
    Raises     InputError if raw has another shape
    Pinned by  tests/quant/test_decode.py::test_decoding_equals_the_gguf_package_bit_for_bit
    """
    row_nbytes = quant_type.row_nbytes(cols)
    if raw.ndim != 2 or raw.shape[1] != row_nbytes or raw.dtype != np.uint8:
        raise InputError(f"[quant] {quant_type.name}: expected uint8 (rows, {row_nbytes}), got {raw.dtype} {raw.shape}")
    raw = np.ascontiguousarray(raw)
    if quant_type.is_float:
        return _decode_float(quant_type.name, raw)
    blocks = raw.reshape(-1).view(LAYOUTS[quant_type.name])
    decode_blocks = _BLOCK_DECODERS[quant_type.name]
    values = np.empty((len(blocks), quant_type.block_size), dtype=np.float32)
    step = _VALUES_PER_PASS // quant_type.block_size
    # A damaged scale decodes to NaN or infinity without a word; Tensor.require_finite reports it.
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, len(blocks), step):
            values[start : start + step] = decode_blocks(blocks[start : start + step])
    return values.reshape(len(raw), cols)
