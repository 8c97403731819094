"""The home of worlds/home.py as tools: a place to try tool use in, with no wires attached.

Start at SimulatedHome.
"""

import threading
from collections.abc import Callable

from mambino.chat.tools import Tool, tool
from mambino.errors import ToolError
from mambino.worlds.home import Home, Outcome


class SimulatedHome:
    """A home that changes as tools act on it, one action at a time; home is how it is now."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._lock = threading.Lock()

    def act(self, action: Callable[[Home], Outcome]) -> str:
        """What happened, in words. Mutates self. Raises ToolError if it was not possible."""
        with self._lock:
            outcome = action(self.home)
            self.home = outcome.home
        if not outcome.is_possible:
            raise ToolError(outcome.text)
        return outcome.text


def home_tools(simulated: SimulatedHome) -> tuple[Tool, ...]:
    """Look, light, heat, lock, and timers."""

    @tool
    def home_status() -> str:
        """Tell the state of the home: time, lights, temperatures, doors, timers."""
        return simulated.home.describe()

    @tool
    def set_light(room: str, level: int) -> str:
        """Set the light of a room.

        Args:
            room: Name of the room.
            level: Brightness from 0 (off) to 100.
        """
        return simulated.act(lambda home: home.set_light(room, level))

    @tool
    def set_thermostat(degrees: float) -> str:
        """Set the temperature that the heating should reach.

        Args:
            degrees: In degrees Celsius.
        """
        return simulated.act(lambda home: home.set_target(degrees))

    @tool
    def lock_door(door: str, locked: bool) -> str:
        """Lock or unlock a door.

        Args:
            door: Name of the door.
            locked: True to lock it, false to unlock it.
        """
        return simulated.act(lambda home: home.set_lock(door, locked))

    @tool
    def start_timer(label: str, minutes: int) -> str:
        """Start a timer.

        Args:
            label: What it is for.
            minutes: When it rings.
        """
        return simulated.act(lambda home: home.start_timer(label, minutes))

    @tool
    def cancel_timer(label: str) -> str:
        """Cancel a timer.

        Args:
            label: What it is for.
        """
        return simulated.act(lambda home: home.cancel_timer(label))

    return (home_status, set_light, set_thermostat, lock_door, start_timer, cancel_timer)
