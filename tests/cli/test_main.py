"""The front of the command line: quick help, one-line errors, verbs that exist."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mambino.cli.main import VERBS

# What --help may import: it must start in a blink on a slow machine, and importing is what takes time.
HEAVY = ("numpy", "torch", "tokenizers", "jinja2", "huggingface_hub", "prompt_toolkit", "rich", "httpx")


def test_help_lists_every_verb_and_imports_none(mambino: Any) -> None:
    code, out, _ = mambino("--help")
    assert code == 0
    assert all(f"\n  {verb} " in out for verb in VERBS)
    script = (
        "import sys; from mambino.cli.main import exit_code; exit_code(['--help']); "
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stderr.strip() == "[]"


def test_every_verb_has_help_that_says_the_same_as_the_list(mambino: Any) -> None:
    for verb in VERBS:
        code, out, _ = mambino(verb, "--help")
        assert code == 0
        assert out.startswith(f"Usage: mambino {verb} ")
        assert "--debug" in out


def test_no_verb_shows_help(mambino: Any) -> None:
    code, out, _ = mambino()
    assert code == 0
    assert out.startswith("Usage: mambino")


def test_an_unknown_verb_is_wrong_usage(mambino: Any) -> None:
    code, out, err = mambino("juggle")
    assert (code, out) == (2, "")
    assert "No such command 'juggle'" in err
    assert "Traceback" not in err


def test_info_of_no_model_is_one_line(mambino: Any) -> None:
    code, out, err = mambino("info", "zoo/ape")
    assert (code, out) == (1, "")
    assert err == ("mambino: [model] zoo/ape is not installed and is no path here; fetch it: mambino pull zoo/ape\n")


def test_list_and_remove_follow_the_cache_folder(mambino: Any, home: Path) -> None:
    assert "nothing fetched yet" in mambino("list")[2]
    model = home / "models/zoo/ape/ape.gguf"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"x" * 2000)
    assert mambino("list")[1] == f"zoo/ape      2 kB  {model}\n"
    assert '"nbytes": 2000' in mambino("list", "--json")[1]
    assert mambino("remove", "zoo/ape") == (0, "", "removed zoo/ape, 2 kB\n")
    assert mambino("list")[1] == ""
    assert mambino("remove", "zoo/ape")[0] == 1


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`mambino --help | head -1` ends quietly."""
    command = f"{sys.executable} -m mambino.cli chat --help | head -c 5"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=os.environ, check=False)
    assert done.stderr == ""
