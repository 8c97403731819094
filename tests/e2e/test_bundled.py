"""The installed command with the bundled model, as a person starts it: no options, no network, no torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mambino

BUNDLED = sorted((Path(mambino.__file__).parent / "bundled").glob("*.gguf"))
pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(not BUNDLED, reason="NO BUNDLED MODEL in src/mambino/bundled: the main job is not tested"),
]


def run(*args: str, home: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MAMBINO_HOME": str(home), "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    blocked = "import sys; sys.modules['torch'] = None; from mambino.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", blocked, *args],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )


def test_one_shot_answers_in_words_and_repeats_with_its_seed(tmp_path: Path) -> None:
    done = run("run", "Tell me a story about a fox.", "-n", "40", "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert len(report["text"].split()) >= 3
    seed = str(report["sampling"]["seed"])
    again = run("run", "Tell me a story about a fox.", "-n", "40", "--json", "--seed", seed, home=tmp_path)
    assert json.loads(again.stdout)["ids"] == report["ids"]


def test_chat_keeps_the_conversation_and_feeds_only_what_is_new(tmp_path: Path) -> None:
    lines = "Hello!\nTell me more.\n/stats\n/save {}\n".format(tmp_path / "c.json")
    done = run("chat", "-n", "30", home=tmp_path, stdin=lines)
    assert done.returncode == 0, done.stderr
    saved = json.loads((tmp_path / "c.json").read_text())
    assert [message["role"] for message in saved["messages"]] == ["user", "assistant", "user", "assistant"]
    assert all(message["content"].strip() for message in saved["messages"])
    reused = next(line for line in done.stderr.splitlines() if line.startswith("prompt")).split()
    assert int(reused[-2]) > 0


def test_list_and_info_know_it(tmp_path: Path) -> None:
    assert run("list", home=tmp_path).stdout.startswith("bundled  ")
    report = json.loads(run("info", "--json", home=tmp_path).stdout)
    assert report["architecture"] == "nemotron_h"
    assert report["chat_template"]
    assert report["nbytes"] < 10_000_000
