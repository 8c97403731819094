"""`mambino serve` before it listens: whom it refuses to serve."""

from pathlib import Path
from typing import Any

import pytest

from mambino.cli.serve import KEY_VARIABLE, is_loopback

pytest.importorskip("uvicorn")


def test_beyond_this_machine_needs_a_key(mambino: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    code, _, err = mambino("serve", "--host", "0.0.0.0")
    assert code == 2
    assert "--api-key-file" in err


def test_an_empty_key_is_no_key(mambino: Any, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n")
    code, _, err = mambino("serve", "--api-key-file", str(tmp_path / "key"))
    assert code == 1
    assert "empty" in err


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_everything_else_may_be_reached_from_outside(host: str) -> None:
    assert not is_loopback(host)
