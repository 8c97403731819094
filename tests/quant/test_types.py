"""The table of number formats against the gguf package and against native/quant/blocks.h."""

import re
from pathlib import Path

import gguf
import pytest

from mambino.errors import FormatError, Unsupported
from mambino.quant.types import TYPES, type_by_ggml_id

GGML_TYPES = [quant_type for quant_type in TYPES.values() if quant_type.ggml_id is not None]
BLOCKS_H = Path(__file__).resolve().parents[2] / "native" / "quant" / "blocks.h"


@pytest.mark.parametrize("quant_type", GGML_TYPES, ids=lambda quant_type: quant_type.name)
def test_sizes_and_ids_equal_those_of_the_gguf_package(quant_type):
    theirs = gguf.GGMLQuantizationType[quant_type.name]
    assert quant_type.ggml_id == theirs.value
    assert (quant_type.block_size, quant_type.block_nbytes) == gguf.GGML_QUANT_SIZES[theirs]


def test_native_types_have_the_same_names_and_sizes():
    native = re.findall(r'\{"(\w+)", (\d+), (\d+), (true|false)\}', BLOCKS_H.read_text())
    ours = {t.name: (str(t.block_size), str(t.block_nbytes), str(t.is_float).lower()) for t in GGML_TYPES}
    assert {name: tuple(rest) for name, *rest in native} == ours


def test_bits_per_weight_counts_the_scales():
    assert TYPES["Q4_K"].bits_per_weight == 4.5
    assert TYPES["Q8_0"].bits_per_weight == 8.5
    assert TYPES["BF16"].bits_per_weight == 16


@pytest.mark.parametrize("cols", [0, -256, 1, 31, 3136])
def test_a_row_that_is_not_whole_blocks_is_refused(cols):
    with pytest.raises(FormatError, match=f"multiple of 256 values, got {cols}"):
        TYPES["Q4_K"].row_nbytes(cols)


def test_the_4b_row_of_3136_fits_blocks_of_32():
    assert TYPES["Q5_0"].row_nbytes(3136) == 3136 // 32 * 22


def test_an_unsupported_type_is_named():
    with pytest.raises(Unsupported, match=r"Q2_K \(GGML type 10\)"):
        type_by_ggml_id(10)
    with pytest.raises(Unsupported, match="unknown GGML type 4000000000"):
        type_by_ggml_id(4_000_000_000)
