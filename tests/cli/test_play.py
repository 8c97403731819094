"""`mambino play`: a person types, or watches."""

import io
import os
import sys

import pytest

from mambino.chat.messages import ToolCall
from mambino.chat.toolbox import ToolBox
from mambino.cli.main import exit_code
from mambino.cli.play_mcp import GameTools
from mambino.worlds.games import new_world


def test_games_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["play"]) == 0
    assert "game2048" in capsys.readouterr().out


def test_a_person_types_words_letters_or_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("up\na\n1\nsing\nquit\n"))
    assert exit_code(["play", "game2048", "--game-seed", "3"]) == 0
    printed = capsys.readouterr().out
    assert "'sing' is no move" in printed
    assert "after 4 actions" in printed


def test_the_end_of_input_ends_the_game(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert exit_code(["play", "dungeon", "--game-seed", "0"]) == 0
    assert "after 0 actions" in capsys.readouterr().out


def test_an_expert_is_watched_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["play", "puzzle", "--expert", "--game-seed", "0"]) == 0
    assert "Score 100.0 of 100" in capsys.readouterr().out


def test_chance_is_watched(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["play", "farm", "--random", "--game-seed", "0", "--steps", "5"]) == 0
    assert "after 5 actions" in capsys.readouterr().out


def test_only_one_player_plays(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["play", "farm", "--random", "--expert"]) == 2


def test_the_tools_of_a_game_say_what_a_player_sees() -> None:
    tools = GameTools(world=new_world("dungeon"), seed=1)
    begun = tools.reset()
    action = begun.partition("Possible actions: ")[2].partition(";")[0]
    assert tools.step(action).startswith("done\nYou are in the ")
    assert "cannot be done here" in tools.step("fly")
    assert tools.reset() == begun != tools.reset(2)


@pytest.mark.slow
def test_a_game_is_played_over_mcp() -> None:
    pytest.importorskip("mcp", reason="mcp is not installed: the game server is untested")
    from mambino.chat.mcp import McpServer, McpTools

    command = (sys.executable, "-m", "mambino.cli", "play", "dungeon", "--mcp", "--game-seed", "1")
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with McpTools([McpServer(name="game", command=command, env=environment)]) as connected:
        tools = {tool.name: tool for tool in connected.tools}
        assert set(tools) == {"reset", "step"}
        box = ToolBox(connected.tools)
        begun = box.call(ToolCall(id="1", name="reset", arguments={"seed": 1})).text
        action = begun.partition("Possible actions: ")[2].partition(";")[0]
        after = box.call(ToolCall(id="2", name="step", arguments={"action": action})).text
    assert "Score: 0.0 of 100" in begun
    assert after.startswith("done")
