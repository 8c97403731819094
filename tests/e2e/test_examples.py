"""Every example runs, is short, and does what it says: on the bundled model, or on one that a script plays."""

import io
import json
import runpy
import sys
from pathlib import Path

import pytest

from tiny_chat import ReplyLM, tiny_tokenizer
from tool_template import TOOL_TEMPLATE, written_call

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MAX_LINES = 40


def run(name: str, stdin: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str) -> str:
    monkeypatch.setattr(sys, "argv", [name, *args])
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


def scripted(monkeypatch: pytest.MonkeyPatch, *replies: str) -> None:
    """open_model and open_tokenizer give a model that says replies."""
    tokenizer = tiny_tokenizer(TOOL_TEMPLATE)
    monkeypatch.setattr("mambino.load.open_model", lambda name: ReplyLM(tokenizer, replies))
    monkeypatch.setattr("mambino.load.open_tokenizer", lambda name: tokenizer)


def test_examples_are_short() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")}
    assert len(lengths) >= 4
    assert max(lengths.values()) <= MAX_LINES, lengths


def test_the_home_assistant_switches_a_light(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, written_call("set_light", room="kitchen", on="true"), "It is on.")
    out = run("home_assistant.py", "Light in the kitchen, please\n", capsys, monkeypatch, "any")
    assert "It is on." in out
    assert "'kitchen': True" in out


@pytest.mark.native
def test_the_character_remembers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    out = run("game_npc.py", "my name is Ada\nhello\n", capsys, monkeypatch)
    assert len(out.splitlines()) >= 3
    assert "name is Ada" in (tmp_path / "npc-memory.json").read_text()


@pytest.mark.native
def test_the_extractor_writes_what_the_schema_wants(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    person = json.loads(run("extractor.py", "Ada, 36, sent 3 letters", capsys, monkeypatch))
    assert set(person) == {"name", "age", "wants_reply"}
    assert 0 <= person["age"] <= 150


def test_the_agent_calls_an_mcp_server(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mcp", reason="NO MCP SDK (mambino[mcp]): the agent example is not tested")
    scripted(monkeypatch, written_call("add", a="2", b="3"), "It is 5.")
    server = Path(__file__).resolve().parents[1] / "mcp_server.py"
    out = run("mcp_agent.py", "", capsys, monkeypatch, "any", "2 and 3?", sys.executable, str(server), "local")
    assert "> add {'a': 2, 'b': 3}" in out
    assert "< 5" in out
    assert "It is 5." in out
