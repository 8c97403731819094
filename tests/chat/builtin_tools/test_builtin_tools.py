"""The built-in tools do what they say, through the same box as any other."""

from datetime import datetime
from pathlib import Path

import pytest

from mambino.chat.builtin_tools.clock import clock_tools
from mambino.chat.builtin_tools.home import SimulatedHome, home_tools
from mambino.chat.builtin_tools.named import NAMES, builtin_tools
from mambino.chat.builtin_tools.notes import Notes, notes_tools
from mambino.chat.messages import ToolCall
from mambino.chat.toolbox import ToolBox
from mambino.errors import InputError
from mambino.worlds.home import new_home


def ask(box: ToolBox, name: str, **arguments: object) -> str:
    return box.call(ToolCall(id="", name=name, arguments=arguments)).text


def test_the_clock_tells_the_time() -> None:
    box = ToolBox(clock_tools(lambda: datetime(2030, 1, 2, 3, 4, 5)))
    assert ask(box, "current_time") == "Wednesday, 02 January 2030, 03:04:05"


def test_notes_are_kept_in_their_file(tmp_path: Path) -> None:
    box = ToolBox(notes_tools(Notes(tmp_path / "notes.txt")))
    assert ask(box, "read_notes") == "There are no notes."
    assert ask(box, "write_note", text="buy\nmilk ") == "Noted as number 1."
    assert ask(box, "write_note", text="call é") == "Noted as number 2."
    assert (tmp_path / "notes.txt").read_text(encoding="utf-8") == "buy milk\ncall é\n"
    assert ask(box, "remove_note", number=1) == "Removed: buy milk"
    assert ask(ToolBox(notes_tools(Notes(tmp_path / "notes.txt"))), "read_notes") == "1. call é"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_notes_have_limits(tmp_path: Path) -> None:
    box = ToolBox(notes_tools(Notes(tmp_path / "notes.txt", max_nbytes=30)))
    assert "1 to 1000 characters" in ask(box, "write_note", text=" \n")
    assert "1 to 1000 characters" in ask(box, "write_note", text="x" * 1001)
    assert ask(box, "write_note", text="x" * 20) == "Noted as number 1."
    assert "full" in ask(box, "write_note", text="y" * 20)
    assert "there is no note 7" in ask(box, "remove_note", number=7)
    assert ask(box, "read_notes") == "1. " + "x" * 20


def test_notes_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    box = ToolBox(notes_tools(Notes(tmp_path / "missing" / "notes.txt")))
    assert "cannot be written" in ask(box, "write_note", text="x")
    (tmp_path / "folder").mkdir()
    assert "cannot be read" in ask(ToolBox(notes_tools(Notes(tmp_path / "folder"))), "read_notes")


def test_the_home_changes_as_it_is_told() -> None:
    simulated = SimulatedHome(new_home(1))
    box = ToolBox(home_tools(simulated))
    room, door = next(iter(simulated.home.lights)), next(iter(simulated.home.locked))
    assert ask(box, "set_light", room=f"the {room}".title(), level=40) == f"The {room} light is at 40 %."
    assert ask(box, "set_thermostat", degrees=20) == "The thermostat is set to 20 degrees."
    assert door in ask(box, "lock_door", door=door, locked=True)
    assert ask(box, "start_timer", label="tea", minutes=4) == "Timer 'tea' rings in 4 min."
    status = ask(box, "home_status")
    assert f"{room}: light at 40 %" in status
    assert f"{door}: locked" in status
    assert "timer tea: 4 min left" in status
    assert ask(box, "cancel_timer", label="tea") == "Timer 'tea' is cancelled."
    assert ask(box, "set_light", room="moon", level=1).startswith("Error: There is no room 'moon'")


def test_tools_go_by_name(tmp_path: Path) -> None:
    ToolBox(builtin_tools(NAMES, folder=tmp_path))
    assert [tool.name for tool in builtin_tools(("clock", "clock"))] == ["current_time"]
    with pytest.raises(InputError, match="known are clock, calculator, notes, home"):
        builtin_tools(("shell",))
    with pytest.raises(InputError, match="no folder"):
        builtin_tools(("notes",))
