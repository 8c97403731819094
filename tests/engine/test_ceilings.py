"""Ceilings are of the order that processors are of; speed itself is not tested."""

import pytest

from mambino.engine.ceilings import measure_ceilings
from mambino.engine.info import engine_info
from mambino.errors import InputError

pytestmark = pytest.mark.native


def test_ceilings_are_numbers_of_this_age() -> None:
    found = measure_ceilings(1)
    assert 1e8 < found.read_bytes_per_s < 1e13
    assert (found.int8_ops_per_s is None) == (engine_info().isa == "reference")
    assert found.int8_ops_per_s is None or 1e9 < found.int8_ops_per_s < 1e15


def test_no_threads_are_refused() -> None:
    with pytest.raises(InputError, match="threads: expected 1 to 256, got 0"):
        measure_ceilings(0)
