"""What this machine could do at most: memory read and int8 products, measured, to put beside an engine's figures."""

from dataclasses import dataclass

from mambino import _native
from mambino.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """int8_ops_per_s counts a multiplication and an addition as two; None without a vector instruction set."""

    threads: int
    read_bytes_per_s: float
    int8_ops_per_s: float | None


def measure_ceilings(threads: int) -> Ceilings:
    """Measure for half a second, with 256 MB of memory. Too low while other programs run.

    Raises     InputError unless 1 <= threads <= 256
    """
    if not 1 <= threads <= 256:
        raise InputError(f"[engine] threads: expected 1 to 256, got {threads}")
    read, int8 = _native.measure_ceilings(threads)
    return Ceilings(threads=threads, read_bytes_per_s=read, int8_ops_per_s=int8 or None)
