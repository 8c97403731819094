"""efficiency with llama.cpp beside it: a stand-in for its interpreter says what it takes; refusals by name."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.tiny_file import write_tiny_directory, write_tiny_gguf

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.native


def stand_in(path: Path, body: str) -> str:
    """An "interpreter" that has llama-cpp-python and whose scripts say body."""
    path.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 0\n{body}\n')
    path.chmod(0o755)
    return str(path)


SAYS = """[ "$6" = 1 ] && speed=2 || speed=4
echo "{\\"prompt_s\\": $speed.0, \\"decode_s\\": 3$speed.0, \\"peak_nbytes\\": 5000000, \\"version\\": \\"0.0\\"}" """


@pytest.mark.slow
def test_both_are_measured_token_for_token_and_the_better_attention_counts(mambino: Run, tmp_path: Path) -> None:
    python = stand_in(tmp_path / "python", SAYS)
    model = str(write_tiny_gguf(tmp_path / "model.gguf"))
    code, text, err = mambino(
        "eval", model, "efficiency", "--length", "256", "--peer", python, "--out", str(tmp_path / "out"), "--json"
    )
    assert code == 0, err
    ours, theirs = json.loads(text)
    assert theirs["model"] == "llama.cpp (llama-cpp-python 0.0)"
    assert theirs["metrics"]["low_first_token_s"]["value"] == 2.0
    assert theirs["metrics"]["high_peak_mb"]["value"] == 5.0
    for name in ("low_prompt_tokens", "high_prompt_tokens"):
        assert theirs["metrics"][name] == ours["metrics"][name]
    assert (tmp_path / "out/report.md").read_text().count("## efficiency") == 2


def test_a_peer_is_for_efficiency_of_a_gguf_and_must_be_there(mambino: Run, tmp_path: Path) -> None:
    folder = str(write_tiny_directory(tmp_path / "model"))
    python = stand_in(tmp_path / "python", "echo it broke >&2; exit 1")
    assert "belongs to the suite efficiency" in mambino("eval", "games", "--peer", python)[2]
    assert "GGUF files only" in mambino("eval", folder, "efficiency", "--peer", python)[2]
    assert (
        "/no/such" in mambino("eval", str(write_tiny_gguf(tmp_path / "m.gguf")), "efficiency", "--peer", "/no/such")[2]
    )
