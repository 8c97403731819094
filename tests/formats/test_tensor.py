"""Tensor: sizes, decoding, and the check for damaged numbers."""

import numpy as np
import pytest

from mambino.errors import FormatError
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import TYPES

ALL = list(TYPES.values())


def zeros(quant_type, rows=3):
    cols = quant_type.block_size * 2
    data = np.zeros(rows * quant_type.row_nbytes(cols), np.uint8)
    return Tensor(name="w", type=quant_type, shape=(rows, cols), data=data)


def test_rows_are_all_dimensions_but_the_last(rng):
    tensor = tensor_from_float32("w", rng.standard_normal((2, 3, 5)).astype(np.float32))
    assert (tensor.rows, tensor.cols, tensor.nbytes) == (6, 5, 120)
    assert tensor.raw_rows.shape == (6, 20)
    assert tensor.to_float32().shape == (2, 3, 5)


def test_a_scalar_has_one_row_and_one_column():
    assert tensor_from_float32("s", np.array(2.5, np.float32)).to_float32() == 2.5


def test_data_of_another_size_is_refused():
    with pytest.raises(FormatError, match=r"tensor w: expected 24 bytes for F32 \(2, 3\)"):
        Tensor(name="w", type=TYPES["F32"], shape=(2, 3), data=np.zeros(23, np.uint8))


def test_the_decoded_array_is_a_copy():
    tensor = tensor_from_float32("w", np.ones((2, 2), np.float32))
    tensor.to_float32()[:] = 7
    assert (tensor.to_float32() == 1).all()


@pytest.mark.parametrize("scale", [np.float32([0.5]), np.float32([1, 2, 3])])
def test_a_scale_multiplies_all_rows_or_each(scale):
    tensor = Tensor(name="w", type=TYPES["F8_E4M3"], shape=(3, 2), data=np.full(6, 0x38, np.uint8), scale=scale)
    np.testing.assert_array_equal(tensor.to_float32(), np.broadcast_to(scale[:, None], (3, 2)))


@pytest.mark.parametrize("quant_type", ALL, ids=lambda quant_type: quant_type.name)
def test_zeros_are_finite(quant_type):
    zeros(quant_type).require_finite()


@pytest.mark.parametrize("row", [0, 2])
@pytest.mark.parametrize("bad", [0x7C00, 0x7E01, 0xFC00])
@pytest.mark.parametrize(
    ("name", "offset"), [(t.name, offset) for t in ALL for offset in t.scale_offsets], ids=lambda value: str(value)
)
def test_a_damaged_scale_is_found(name, offset, bad, row):
    tensor = zeros(TYPES[name])
    at = row * TYPES[name].block_nbytes * 2 + TYPES[name].block_nbytes + offset
    tensor.data[at : at + 2] = np.array([bad], "<u2").view(np.uint8)
    assert not np.isfinite(tensor.to_float32()).all()
    with pytest.raises(FormatError, match="tensor w: holds NaN or infinite values"):
        tensor.require_finite()


@pytest.mark.parametrize(("name", "bad"), [("F32", np.nan), ("F32", -np.inf), ("F16", np.nan), ("BF16", np.inf)])
def test_a_damaged_float_is_found(name, bad):
    tensor = zeros(TYPES[name])
    nbytes = TYPES[name].block_nbytes
    high = np.array([bad], np.float16 if name == "F16" else np.float32).view(np.uint8)
    tensor.data[-nbytes:] = high[-nbytes:]
    with pytest.raises(FormatError, match="NaN or infinite"):
        tensor.require_finite()


def test_damage_beyond_the_first_piece_of_a_large_tensor_is_found():
    tensor = Tensor(name="w", type=TYPES["F16"], shape=(1, 9_000_000), data=np.zeros(18_000_000, np.uint8))
    tensor.require_finite()
    tensor.data[-1] = 0x7C
    with pytest.raises(FormatError, match="NaN or infinite"):
        tensor.require_finite()


def test_a_damaged_scale_of_a_float8_tensor_is_found():
    tensor = Tensor(
        name="w", type=TYPES["F8_E4M3"], shape=(1, 1), data=np.zeros(1, np.uint8), scale=np.float32([np.inf])
    )
    with pytest.raises(FormatError, match="NaN or infinite"):
        tensor.require_finite()
