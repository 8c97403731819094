"""The encoders: floats and Q8_0 byte for byte as the gguf package, fitted formats by their weighted error."""

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize, quantize

from mambino.errors import FormatError, InputError, Unsupported
from mambino.quant.decode import decode
from mambino.quant.encode import encode
from mambino.quant.types import TYPES

ENCODED_NAMES = ["F32", "F16", "BF16", "Q8_0"]
FITTED_NAMES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "Q4_K", "Q5_K", "Q6_K"]

# Relative root mean square error on normal values: measured, plus 3 %. A field packed at the wrong place, or a level
# off by one, gives ten times as much.
NORMAL_ERROR = {
    "Q4_0": 0.0841, "Q4_1": 0.0722, "Q5_0": 0.0415, "Q5_1": 0.0346,
    "IQ4_NL": 0.0759, "Q4_K": 0.0736, "Q5_K": 0.037, "Q6_K": 0.0179,
}  # fmt: skip


def relative_error(name, values, raw, importance=1.0):
    squares = importance * (decode(TYPES[name], raw, values.shape[1]) - values) ** 2
    return float(np.sqrt(squares.sum() / (importance * values**2).sum()))


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


@pytest.mark.parametrize("name", FITTED_NAMES)
def test_normal_values_come_back_as_close_as_the_format_allows(name, rng):
    values = rng.standard_normal((24, 768)).astype(np.float32)
    raw = encode(TYPES[name], values)
    assert relative_error(name, values, raw) < NORMAL_ERROR[name]
    np.testing.assert_array_equal(
        dequantize(raw, gguf.GGMLQuantizationType[name]), decode(TYPES[name], raw, values.shape[1])
    )


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_a_fitted_scale_beats_the_largest_value_as_scale(name, rng):
    values = rng.standard_normal((8, 768)).astype(np.float32)
    plain = quantize(values, gguf.GGMLQuantizationType[name])
    assert relative_error(name, values, encode(TYPES[name], values)) < 0.97 * relative_error(name, values, plain)


@pytest.mark.parametrize("name", FITTED_NAMES)
def test_columns_that_matter_are_kept_closer(name, rng):
    values = rng.standard_normal((8, 768)).astype(np.float32)
    importance = np.exp(2 * rng.standard_normal(768)).astype(np.float32)
    plain, weighted = encode(TYPES[name], values), encode(TYPES[name], values, importance)
    gain = relative_error(name, values, weighted, importance) / relative_error(name, values, plain, importance)
    assert gain < 0.95


@pytest.mark.parametrize("name", FITTED_NAMES)
def test_importance_counts_by_its_ratios_alone(name, rng):
    values = rng.standard_normal((2, 256)).astype(np.float32)
    importance = 2.0 ** rng.integers(-3, 4, 256).astype(np.float32)
    np.testing.assert_array_equal(
        encode(TYPES[name], values, importance), encode(TYPES[name], values, np.float32(2**20) * importance)
    )
    np.testing.assert_array_equal(
        encode(TYPES[name], values, np.zeros(256, np.float32)), encode(TYPES[name], values, None)
    )


@pytest.mark.parametrize("name", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL"])
def test_values_that_a_block_can_hold_exactly_are_held_exactly(name, rng):
    raw = rng.integers(0, 256, (50, TYPES[name].row_nbytes(32)), dtype=np.uint8)
    raw[:, 0:2] = np.float16(0.5).reshape(1).view(np.uint8)
    if name in ("Q4_1", "Q5_1"):
        raw[:, 2:4] = np.float16(-3).reshape(1).view(np.uint8)
    raw[:, -1] = 0xF0  # the lowest and the highest level of each block are in use: element 15 and element 31
    if name in ("Q5_0", "Q5_1"):
        raw[:, -17] = 0x80 | (raw[:, -17] & 0x7F)
        raw[:, -19] = raw[:, -19] & 0x7F
    values = decode(TYPES[name], raw, 32)
    assert relative_error(name, values, encode(TYPES[name], values)) < 1e-6


@pytest.mark.parametrize("name", [*ENCODED_NAMES, *FITTED_NAMES])
def test_rows_encode_alone_as_they_do_among_many(name, rng):
    values = rng.standard_normal((70, 512)).astype(np.float32)
    importance = rng.uniform(0.1, 3, 512).astype(np.float32)
    every = encode(TYPES[name], values, importance)
    for start, stop in ((0, 1), (31, 34), (69, 70)):
        np.testing.assert_array_equal(encode(TYPES[name], values[start:stop], importance), every[start:stop])


@pytest.mark.parametrize("name", FITTED_NAMES)
def test_zeros_constants_and_tiny_values_stay_what_they_are(name):
    width = TYPES[name].block_size
    values = np.zeros((4, width), np.float32)
    values[1], values[2], values[3] = 0.75, -0.75, 1e-40
    back = decode(TYPES[name], encode(TYPES[name], values), width)
    assert not back[0].any()
    np.testing.assert_allclose(back[1:3], values[1:3], rtol=0.01)  # float16 scales, 6-bit scales of scales
    assert np.abs(back[3]).max() < 1e-6


@pytest.mark.parametrize("name", FITTED_NAMES)
def test_values_beyond_a_float16_scale_are_refused(name):
    with pytest.raises(InputError, match="do not fit a float16 scale"):
        encode(TYPES[name], np.linspace(-1e9, 1e9, 256, dtype=np.float32)[None])


@pytest.mark.parametrize("importance", [-np.ones(32), np.full(32, np.nan), np.ones(31), np.ones((1, 32))])
def test_an_importance_that_is_none_is_refused(importance):
    with pytest.raises(InputError, match="expected an importance of 32 finite numbers >= 0"):
        encode(TYPES["Q4_0"], np.ones((1, 32), np.float32), importance.astype(np.float32))


def test_a_type_without_an_encoder_is_refused_by_name():
    with pytest.raises(Unsupported, match="no encoder for F8_E4M3"):
        encode(TYPES["F8_E4M3"], np.zeros((1, 256), np.float32))


def test_rows_of_the_wrong_length_are_refused():
    with pytest.raises(FormatError, match="multiple of 32"):
        encode(TYPES["Q8_0"], np.zeros((1, 33), np.float32))
