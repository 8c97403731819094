"""The NumPy decoders against the gguf package and against hand-made values."""

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize

from mambino.errors import InputError
from mambino.quant.decode import decode
from mambino.quant.types import TYPES

GGML_NAMES = [name for name, quant_type in TYPES.items() if quant_type.ggml_id is not None]


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


def test_raw_rows_of_the_wrong_length_are_refused():
    with pytest.raises(InputError, match=r"expected uint8 \(rows, 34\)"):
        decode(TYPES["Q8_0"], np.zeros((1, 33), np.uint8), 32)
