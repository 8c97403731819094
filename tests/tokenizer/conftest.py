"""The small tokenizers of every way of splitting, trained once a session."""

import json
from pathlib import Path

import pytest

from small_tokenizers import ROWS, train


@pytest.fixture(scope="session")
def trained() -> dict[str, dict[str, object]]:
    """tokenizer.json of each row; do not change them."""
    return {pre: train(pre) for pre in ROWS}


@pytest.fixture
def directory(tmp_path: Path, trained: dict[str, dict[str, object]]) -> Path:
    """A directory with the tekken tokenizer.json, to change at will."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "tokenizer.json").write_text(json.dumps(trained["tekken"]), encoding="utf-8")
    return tmp_path / "model"
