"""README's Python runs, and its commands exist."""

import re
from pathlib import Path

import pytest

from mambino.cli.main import VERBS
from mambino.hub.local import BUNDLED

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.native
@pytest.mark.parametrize("code", blocks("python"))
def test_python_in_readme_runs(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code.replace('"model.gguf"', repr(BUNDLED)), "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"mambino (\w+)", "\n".join(blocks("sh"))))))
def test_commands_in_readme_exist(verb: str) -> None:
    assert verb in VERBS
