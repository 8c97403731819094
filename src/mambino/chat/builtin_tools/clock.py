"""The time, as a tool."""

from collections.abc import Callable
from datetime import datetime

from mambino.chat.tools import Tool, tool


def clock_tools(now: Callable[[], datetime] = datetime.now) -> tuple[Tool, ...]:
    """One tool that tells now()."""

    @tool
    def current_time() -> str:
        """Tell the current local date and time."""
        return now().strftime("%A, %d %B %Y, %H:%M:%S")

    return (current_time,)
