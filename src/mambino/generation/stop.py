"""Stop strings across token boundaries: text that may be the start of one waits until that is settled.

Knows no tokens. Start at StopScanner.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """text can be shown; stop is the string that ended the completion, or None."""

    text: str
    stop: str | None = None


class StopScanner:
    """Passes text on until a stop string appears in it.

    Law        the text passed on and the stop found depend on the whole text only, not on how it was cut into pieces:
               the stop string that is complete first wins, of those the longest; the text before it is passed on,
               the stop string and what follows are not.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""

    def feed(self, text: str) -> Scanned:
        """What can be shown now. Mutates self; after a stop was found, start anew."""
        pending = self._held + text
        found = [(pending.find(stop) + len(stop), -len(stop), stop) for stop in self._stops if stop in pending]
        if found:
            end, _, stop = min(found)
            self._held = ""
            return Scanned(text=pending[: end - len(stop)], stop=stop)
        split = len(pending) - self._undecided(pending)
        self._held = pending[split:]
        return Scanned(text=pending[:split])

    def flush(self) -> str:
        """The text that was held back, at the end of the completion. Mutates self."""
        held, self._held = self._held, ""
        return held

    def _undecided(self, pending: str) -> int:
        """Length of the longest end of pending that begins a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(pending)), 0, -1):
            if any(stop.startswith(pending[-length:]) for stop in self._stops):
                return length
        return 0
