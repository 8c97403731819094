"""The states that answers run in: a fixed number, each taken by one answer at a time, and made with its adapter.

Knows nothing of templates. Start at Slots.take.
"""

import threading
from collections.abc import Callable, Sequence

from mambino.chat.absorbed import AbsorbedText
from mambino.errors import InputError
from mambino.generation.prefix_cache import common_length
from mambino.lm import Adapter


class Slots:
    """Idle states, the least recently used first. Safe between threads."""

    def __init__(self, make: Callable[[Adapter | None], AbsorbedText], count: int) -> None:
        """make is called when a state is first needed, and to put one in the place of another adapter's."""
        if count < 1:
            raise InputError(f"[chat] slots: expected at least 1, got {count}")
        self._make = make
        self._count = count
        self._unmade = count
        self._idle: list[AbsorbedText] = []
        self._settling: list[AbsorbedText] = []  # busy ones that will soon be given back
        self._changed = threading.Condition()

    def take(self, text: str, adapter: Adapter | None = None) -> AbsorbedText:
        """The idle state of adapter from which text is nearest; waits for states that settle, which were told to stop.

        A state of another adapter is remembered, and makes room for one of this.

        Raises     InputError if all of them are answering; as make does
        """
        with self._changed:
            while self._settling:
                self._changed.wait()
            digest = "" if adapter is None else adapter.digest
            slot = self._nearest(text, digest)
            if slot is None:
                if not self._unmade:
                    raise InputError("[chat] every slot is answering; close an answer first, or open more slots")
                made = self._make(adapter)
                self._unmade -= 1
                return made
            if slot.adapter != digest:
                if not slot.is_left:
                    slot.mark()
                made = self._make(adapter)
                self._idle.remove(slot)
                return made
            self._idle.remove(slot)
            return slot

    def take_to_settle(self, prompt: str, adapter: str = "") -> AbsorbedText | None:
        """The idle state that has answered prompt, to be given back soon; None if it has gone on to something else."""
        with self._changed:
            matching = (slot for slot in self._of(adapter) if slot.text.startswith(prompt) and not slot.is_left)
            slot = next(matching, None)
            if slot is None:
                return None
            self._idle.remove(slot)
            self._settling.append(slot)
            return slot

    def wait_settled(self) -> None:
        """Until no state settles."""
        with self._changed:
            while self._settling:
                self._changed.wait()

    def give_back(self, slot: AbsorbedText) -> None:
        """Mutates self: slot is idle again."""
        with self._changed:
            if slot in self._settling:
                self._settling.remove(slot)
            self._idle.append(slot)
            self._changed.notify_all()

    def leave(self, text: str, beyond: int, adapter: str = "") -> None:
        """Let idle states of adapter that agree with text for more than beyond characters be taken without a mark."""
        with self._changed:
            for slot in (*self._idle, *self._settling):
                if slot.adapter == adapter and common_length(slot.text, text) > beyond:
                    slot.is_left = True

    def idle(self) -> Sequence[AbsorbedText]:
        """The states that nobody uses now."""
        with self._changed:
            return list(self._idle)

    @property
    def num_busy(self) -> int:
        """States that are taken now."""
        with self._changed:
            return self._count - self._unmade - len(self._idle)

    @property
    def nbytes(self) -> int:
        """Bytes of the states that idle; busy ones have the same size."""
        with self._changed:
            return sum(slot.state.nbytes for slot in self._idle)

    def _of(self, adapter: str) -> list[AbsorbedText]:
        """Idle states of adapter, the last used first."""
        return [slot for slot in reversed(self._idle) if slot.adapter == adapter]

    def _nearest(self, text: str, adapter: str) -> AbsorbedText | None:
        leading = [slot for slot in self._of(adapter) if slot.leads_to(text)]
        if leading:
            return max(leading, key=lambda slot: len(slot.text))
        same = [slot for slot in self._of(adapter) if slot.is_same_conversation(text)]
        if same:
            return same[0]
        if self._unmade:
            return None
        return self._idle[0] if self._idle else None
