"""What the compiled engine is and which kernels serve which weights, for `mambino info` and benchmark records."""

from dataclasses import dataclass

from mambino import _native
from mambino.engine.native import Isa
from mambino.errors import Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """build_id hashes the sources; kernels maps an op ("gemm.Q5_0", "ssm_scan") to its kernel's instruction set."""

    build_id: str
    isa: str
    kernels: dict[str, str]

    def slow_types(self, types: set[str]) -> list[str]:
        """Those weight types whose products only the reference kernels serve."""
        return sorted(kind for kind in types if self.kernels.get(f"gemm.{kind}", "reference") == "reference")


def engine_info(isa: Isa = "best") -> EngineInfo:
    """Describe the compiled engine, with kernels as chosen for isa. Raises Unsupported for one this machine lacks."""
    try:
        kernels = _native.kernel_names(isa)
    except _native.NativeError as error:
        raise Unsupported(str(error)) from error
    return EngineInfo(build_id=_native.BUILD_ID, isa=_native.best_isa() if isa == "best" else isa, kernels=kernels)
