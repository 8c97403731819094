"""The compiled extension is the one that this tree builds, and its stub says what it holds."""

import hashlib
from pathlib import Path

import pytest

from mambino import _native

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.native


def tree_build_id() -> str:
    """The hash that CMakeLists.txt computes: path and content of every native source, tests left out."""
    sources = sorted(
        path.relative_to(REPOSITORY).as_posix()
        for suffix in ("*.cc", "*.h")
        for path in (REPOSITORY / "native").rglob(suffix)
        if "tests" not in path.relative_to(REPOSITORY).parts
    )
    lines = "".join(f"{name}:{hashlib.sha256((REPOSITORY / name).read_bytes()).hexdigest()}\n" for name in sources)
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def test_the_extension_was_built_from_this_tree() -> None:
    assert tree_build_id() == _native.BUILD_ID, "the compiled engine is stale: run `make build`"


def test_the_stub_names_everything_in_the_module() -> None:
    stub = (REPOSITORY / "src/mambino/_native.pyi").read_text()
    public = [name for name in dir(_native) if not name.startswith("_")]
    missing = [name for name in public if name not in stub]
    for kind in (_native.Engine, _native.Weights, _native.SequenceState):
        missing += [f"{kind.__name__}.{name}" for name in dir(kind) if not name.startswith("_") and name not in stub]
    assert not missing, f"_native.pyi lacks {missing}; make it again with nanobind's stubgen"
