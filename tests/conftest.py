"""Fixtures that every test may use, and a header that says what this machine and this install can test.

Helpers with names of their own lie beside this file: tiny_models (configs and weights), float64_oracle.
"""

import importlib.metadata
import importlib.util
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mambino.config import HybridConfig
from tiny_models import tiny_hybrid_config, tiny_llama_config

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"
HAS_TORCH = importlib.util.find_spec("torch") is not None
SHOWN_CPU_FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")

if not HAS_TORCH:  # the header says so
    collect_ignore_glob = ["model/*", "train/*", "recipes/*", "parity/test_transformers.py", "parity/test_float64.py"]


def pytest_report_header() -> list[str]:
    """One line of capabilities, so that a tier that did not run is seen."""
    torch = (
        f"torch {importlib.metadata.version('torch')}" if HAS_TORCH else "torch MISSING (its tests are not collected)"
    )
    native = "native built" if importlib.util.find_spec("mambino._native") else "native MISSING"
    shared = "shared data found" if SHARED.is_dir() else "shared data MISSING"
    return [f"mambino: {torch} | {native} | {shared} | {_instruction_sets()}"]


def _instruction_sets() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.machine()
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    return " ".join([platform.machine(), *(flag for flag in SHOWN_CPU_FLAGS if flag in flags.split())])


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> None:
    """Tiny models are faster on one thread, many times so on a busy machine."""
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


@pytest.fixture
def tiny_config() -> HybridConfig:
    """All layer kinds, uneven, several groups, fewer key/value than query heads, widths that no kernel likes."""
    return tiny_hybrid_config()


@pytest.fixture
def tiny_llama() -> HybridConfig:
    """A llama: RoPE, SwiGLU, tied embeddings."""
    return tiny_llama_config()


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded: the same numbers in every run."""
    return np.random.default_rng(20260101)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of shared reference data beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared data at {SHARED}")
    return SHARED


@pytest.fixture(autouse=True)
def _denormals() -> Iterator[None]:
    """Training flushes denormals for the whole process; the next test shall not notice."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
