"""Imports inside the package point one way, and light layers stay light: the layering of docs/ARCHITECTURE.md, checked.

Reads source only. Imports inside functions count too: a lazy import is still a dependency.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src/mambino"
NATIVE = REPOSITORY / "native"

# Lowest first. Names in one row are siblings: they may not import each other.
LAYERS: list[tuple[str, ...]] = [
    ("errors",),
    ("config", "quant"),
    ("presets", "planner"),
    ("lm", "scoring", "worlds"),
    ("formats", "tokenizer", "hub"),
    ("model", "engine"),
    ("train", "generation"),
    ("compress", "chat"),
    ("posttrain", "export", "evals", "server"),
    ("load",),
    ("cli",),
]
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}
MAY_USE_TORCH = {"model", "train", "compress", "posttrain", "load", "cli"}
MAY_USE_NATIVE = {"engine", "quant"}
NATIVE_LAYERS = ["base", "quant", "kernels", "nn", "bindings", "tests"]


@cache
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def imported_names(tree: ast.AST, parts: list[str]) -> Iterator[tuple[str, int]]:
    """(absolute dotted name, line) of every import; parts: dotted path of the importing file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else []
            head = ".".join(base + ([node.module] if node.module else []))
            yield from ((f"{head}.{alias.name}", node.lineno) for alias in node.names)


def wrong_imports(layer: str, source: str, parts: list[str]) -> list[str]:
    """One sentence for each import in source that a file of this layer may not make."""
    wrong = []
    for name, line in imported_names(parsed(source), parts):
        bits = name.split(".")
        if bits[0] == "torch" and layer not in MAY_USE_TORCH:
            wrong.append(f"{line}: '{layer}' may not import torch")
        if bits[0] != "mambino" or len(bits) < 2 or bits[1] == layer:
            continue
        target = bits[1]
        if target == "_native" and layer not in MAY_USE_NATIVE:
            wrong.append(f"{line}: '{layer}' may not import _native")
        elif target in RANK and RANK[target] >= RANK[layer]:
            wrong.append(f"{line}: '{layer}' may not import '{target}', which is beside or above it")
    return wrong


def package_files() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def test_imports_point_one_way() -> None:
    wrong = []
    for path in package_files():
        relative = path.relative_to(PACKAGE).with_suffix("")
        layer = relative.parts[0]
        assert layer in RANK, f"{path}: '{layer}' is in no layer; add it to LAYERS and to docs/ARCHITECTURE.md"
        wrong += [f"{path}:{fault}" for fault in wrong_imports(layer, path.read_text(), ["mambino", *relative.parts])]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("lm", "import torch"),
        ("engine", "from mambino.model import hybrid"),
        ("engine", "def f():\n    from mambino import load"),
        ("generation", "from mambino._native import Engine"),
        ("chat", "from ..cli import main"),
    ],
)
def test_the_check_sees_a_wrong_import(layer: str, source: str) -> None:
    assert wrong_imports(layer, source, ["mambino", layer, "file"])


def test_native_includes_point_one_way() -> None:
    wrong = []
    for path in sorted([*NATIVE.rglob("*.h"), *NATIVE.rglob("*.cc")]):
        layer = path.relative_to(NATIVE).parts[0]
        for target in re.findall(r'#include "([a-z]+)/', path.read_text()):
            if NATIVE_LAYERS.index(target) > NATIVE_LAYERS.index(layer):
                wrong.append(f"{path}: '{layer}' may not include '{target}'")
    assert not wrong, "\n".join(wrong)


def test_only_bindings_include_nanobind() -> None:
    users = {path.relative_to(NATIVE).parts[0] for path in NATIVE.rglob("*.*") if "nanobind" in path.read_text()}
    assert users == {"bindings"}


def test_files_stay_small() -> None:
    """The caps of docs/ARCHITECTURE.md: 400 lines of Python, 450 of C++."""
    large = [
        f"{path}: {lines} lines"
        for folder, cap in ((PACKAGE, 400), (NATIVE, 450))
        for path in folder.rglob("*.*")
        if path.suffix in {".py", ".h", ".cc"} and (lines := len(path.read_text().splitlines())) > cap
    ]
    assert not large, "\n".join(large)


def test_functions_stay_small() -> None:
    large = [
        f"{path}:{node.lineno} {node.name}"
        for path in package_files()
        for node in ast.walk(parsed(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 80
    ]
    assert not large, "\n".join(large)
