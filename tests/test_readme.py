"""README's Python runs, and its commands exist."""

import re
from pathlib import Path

import pytest

from mambino.cli.main import VERBS
from mambino.hub.local import BUNDLED
from tiny_chat import ReplyLM, tiny_tokenizer
from tool_template import TOOL_TEMPLATE, written_call

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.mark.native
@pytest.mark.parametrize("code", blocks("python"))
def test_python_in_readme_runs(code: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if "@tool" in code:  # the bundled model knows no tools: a scripted one calls this one
        tokenizer = tiny_tokenizer(TOOL_TEMPLATE)
        replies = [written_call("set_light", room="kitchen", on="true"), "It is on."]
        monkeypatch.setattr("mambino.load.open_model", lambda name: ReplyLM(tokenizer, replies))
        monkeypatch.setattr("mambino.load.open_tokenizer", lambda name: tokenizer)
    exec(compile(code.replace('"model.gguf"', repr(BUNDLED)), "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"mambino (\w+)", "\n".join(blocks("sh"))))))
def test_commands_in_readme_exist(verb: str) -> None:
    assert verb in VERBS
