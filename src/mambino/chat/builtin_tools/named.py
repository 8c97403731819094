"""The built-in tools by the names that personas and commands use. Start at builtin_tools."""

from collections.abc import Sequence
from pathlib import Path

from mambino.chat.builtin_tools.calculator import calculator_tools
from mambino.chat.builtin_tools.clock import clock_tools
from mambino.chat.builtin_tools.home import SimulatedHome, home_tools
from mambino.chat.builtin_tools.notes import Notes, notes_tools
from mambino.chat.tools import Tool
from mambino.errors import InputError
from mambino.worlds.home import new_home

NAMES = ("clock", "calculator", "notes", "home")


def builtin_tools(names: Sequence[str], *, folder: Path | None = None, seed: int = 0) -> tuple[Tool, ...]:
    """The tools that go by these names. notes keeps its file in folder; seed makes the simulated home.

    Raises     InputError for an unknown name, or for notes without a folder
    """
    tools: list[Tool] = []
    for name in dict.fromkeys(names):
        match name:
            case "clock":
                tools += clock_tools()
            case "calculator":
                tools += calculator_tools()
            case "notes":
                if folder is None:
                    raise InputError("[tools] notes: no folder to keep them in; give one")
                tools += notes_tools(Notes(folder / "notes.txt"))
            case "home":
                tools += home_tools(SimulatedHome(new_home(seed)))
            case _:
                raise InputError(f"[tools] {name!r}: no such built-in tool; known are {', '.join(NAMES)}")
    return tuple(tools)
