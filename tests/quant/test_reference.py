"""The NumPy codecs against the gguf package and against hand-made values."""

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize

from mambino.errors import FormatError, InputError, Unsupported
from mambino.quant.reference import decode, encode
from mambino.quant.types import TYPES

GGML_NAMES = [name for name, quant_type in TYPES.items() if quant_type.ggml_id is not None]
ENCODED_NAMES = ["F32", "F16", "BF16", "Q8_0"]


def random_blocks(name, rows, cols, rng):
    """Random bytes: every code, and with them NaN and infinite scales."""
    return rng.integers(0, 256, (rows, TYPES[name].row_nbytes(cols)), dtype=np.uint8)


@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("name", GGML_NAMES)
def test_decoding_equals_the_gguf_package_bit_for_bit(name, rows, rng):
    raw = random_blocks(name, rows, 768, rng)
    with np.errstate(all="ignore"):
        theirs = dequantize(raw, gguf.GGMLQuantizationType[name])
    ours = decode(TYPES[name], raw, 768)
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))


@pytest.mark.parametrize("name", [name for name in GGML_NAMES if not TYPES[name].is_float])
def test_one_block_decodes_as_it_does_among_many(name, rng):
    cols = TYPES[name].block_size
    raw = random_blocks(name, 9000, cols, rng)  # several passes of the decoder
    every = decode(TYPES[name], raw, cols)
    for row in (0, 1, 8999):
        np.testing.assert_array_equal(decode(TYPES[name], raw[row : row + 1], cols)[0], every[row])


def test_q4_0_decodes_a_block_worked_out_by_hand():
    block = np.concatenate([np.float16([0.5]).view(np.uint8), np.arange(16, dtype=np.uint8) | 0x30])
    expected = [0.5 * (low - 8) for low in range(16)] + [0.5 * (3 - 8)] * 16
    assert decode(TYPES["Q4_0"], block[None], 32)[0].tolist() == expected


@pytest.mark.parametrize(
    ("code", "value"),
    [(0x00, 0.0), (0x01, 2.0**-9), (0x08, 2.0**-6), (0x38, 1.0), (0x3C, 1.5), (0xB8, -1.0), (0x7E, 448.0)],
)
def test_float8_codes_have_the_values_of_the_standard(code, value):
    assert decode(TYPES["F8_E4M3"], np.array([[code]], np.uint8), 1)[0, 0] == value


@pytest.mark.torch
def test_every_float8_code_equals_torch():
    torch = pytest.importorskip("torch")
    codes = np.arange(256, dtype=np.uint8)
    theirs = torch.from_numpy(codes).view(torch.float8_e4m3fn).float().numpy()
    np.testing.assert_array_equal(decode(TYPES["F8_E4M3"], codes[None], 256)[0], theirs)


@pytest.mark.parametrize("name", ENCODED_NAMES)
def test_encoding_equals_the_gguf_package_byte_for_byte(name, rng):
    values = rng.standard_normal((5, 96)) * np.exp(3 * rng.standard_normal((5, 96)))
    values[0] = 0
    values[1, :32] = -0.0
    values[2, :32] = 0
    values[2, :6] = [127, 0.5, -1.5, 2.5, 1 + 2**-8, 1 + 3 * 2**-8]  # ties of Q8_0 with scale 1, and of BF16
    values = values.astype(np.float32)
    theirs = quantize(values, gguf.GGMLQuantizationType[name]).view(np.uint8)
    np.testing.assert_array_equal(encode(TYPES[name], values), theirs)


@pytest.mark.parametrize("name", ["F32", "F16", "BF16"])
def test_a_float_that_was_decoded_encodes_to_the_same_bytes(name, rng):
    halves = rng.standard_normal((3, 5)).astype(np.float32)
    raw = encode(TYPES[name], halves)
    np.testing.assert_array_equal(encode(TYPES[name], decode(TYPES[name], raw, 5)), raw)


def test_q8_0_is_within_half_a_step(rng):
    values = rng.standard_normal((4, 64)).astype(np.float32)
    blocks = np.abs(values).reshape(4, 2, 32).max(axis=-1).repeat(32, axis=-1)
    step = blocks / 127
    float16_scale = 2.0**-11 * blocks  # the scale itself is rounded to float16
    error = np.abs(decode(TYPES["Q8_0"], encode(TYPES["Q8_0"], values), 64) - values)
    assert (error <= 0.5 * step + float16_scale).all()


def test_q8_0_flushes_blocks_too_small_for_a_scale_to_zero():
    tiny = np.full((1, 32), 1e-42, np.float32)
    assert not decode(TYPES["Q8_0"], encode(TYPES["Q8_0"], tiny), 32).any()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("F16", 65520.0, "exceeds 65504"),
        ("BF16", 3.4e38, "rounds to infinity"),
        ("Q8_0", 1e8, "do not fit a float16 scale"),
        ("Q8_0", np.nan, "NaN or infinite"),
        ("F16", -np.inf, "NaN or infinite"),
    ],
)
def test_values_that_a_format_cannot_hold_are_refused(name, value, message):
    with pytest.raises(InputError, match=message):
        encode(TYPES[name], np.full((1, 32), value, np.float32))


def test_a_type_without_an_encoder_is_refused_by_name():
    with pytest.raises(Unsupported, match="no encoder for Q4_K"):
        encode(TYPES["Q4_K"], np.zeros((1, 256), np.float32))


def test_rows_of_the_wrong_length_are_refused():
    with pytest.raises(FormatError, match="multiple of 32"):
        encode(TYPES["Q8_0"], np.zeros((1, 33), np.float32))
    with pytest.raises(InputError, match=r"expected uint8 \(rows, 34\)"):
        decode(TYPES["Q8_0"], np.zeros((1, 33), np.uint8), 32)
