"""What a state has absorbed, as text and as ids, and how to reach another text from there at the least cost.

A recurrent state cannot be cut back: going back means restoring a snapshot and replaying from it.
Knows the lm contract and the cache of snapshots; text is opaque here. Start at AbsorbedText.seek.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mambino.chat.divergence import drops_thinking
from mambino.chat.spelling import Spelling
from mambino.generation.prefix_cache import REPLAY_TOKENS, Keep, Place, SnapshotTree, common_length
from mambino.generation.speculate import Speculation
from mambino.generation.state_store import StateStore
from mambino.lm import Adapter, LanguageModel

CHUNK_TOKENS = 512  # between two progress reports


class AbsorbedText:
    """A state and the text that it stands for.

    Invariant: ids are exactly what the state absorbed; text is what they were encoded from, or generated as. Generated
    ids are kept as they are, never encoded again, so that a conversation is the same to the model as it was.
    """

    def __init__(
        self,
        model: LanguageModel,
        max_tokens: int,
        tree: SnapshotTree,
        store: StateStore | None = None,
        adapter: Adapter | None = None,
    ) -> None:
        """tree and store are shared; the state is this object's own, made with adapter."""
        self._model = model
        self._tree = tree
        self._store = store
        self._marked = 0  # length of text at the last mark
        self.state = model.new_state(max_tokens, adapter)
        self._empty = self.state.snapshot()
        self.adapter = self._empty.adapter
        self.text = ""
        self.ids: list[int] = []
        self.is_left = False  # nobody will come back to text
        self.speculation = Speculation()  # what was measured here serves the next answer

    def leads_to(self, text: str) -> bool:
        """Whether text goes on from here."""
        return self._is_known() and len(text) > len(self.text) and text.startswith(self.text)

    def is_same_conversation(self, text: str) -> bool:
        """Whether text is this conversation rewritten: what comes after they part here, nobody will come back to.

        It passes the last mark, or parts where old thinking was dropped.
        """
        parting = common_length(self.text, text)
        return 0 < self._marked <= parting or drops_thinking(self.text, text, parting)

    def seek(self, text: str, spelling: Spelling) -> str:
        """Move to the furthest reachable proper beginning of text, and return the rest, which is never empty.

        Mutates    self: the state may go back to a snapshot, or to the start. A place that another conversation takes
                   over is remembered first; places that nobody will come back to are forgotten
        """
        goes_on = self.leads_to(text) and spelling.joins(self.text, self.ids, text[len(self.text) :])
        place = self._best(text, spelling, longer_than=len(self.text) if goes_on else 0)
        if place is not None or not goes_on:
            if self.is_same_conversation(text):
                self._tree.forget(self.text, beyond=common_length(self.text, text), adapter=self.adapter)
            elif not self.is_left:
                self.mark()
            self._go_to(place)
        self.is_left = False
        return text[len(self.text) :]

    def _is_known(self) -> bool:
        return self.state.position == len(self.ids)  # not after Ctrl-C between two statements of extend

    def _best(self, text: str, spelling: Spelling, longer_than: int) -> Place | None:
        """The longest place that text may go on from, in memory or on disk; None if not longer than longer_than."""

        def may_begin(place: Place) -> bool:
            return len(place.text) > longer_than and spelling.joins(place.text, place.ids, text[len(place.text) :])

        place = self._tree.best(text, may_begin, self.adapter)
        if self._store is not None:
            known = longer_than if place is None else len(place.text)
            stored = self._store.best(text, longer_than=known, adapter=self.adapter)
            if stored is not None and may_begin(stored):
                self._tree.put(stored)
                return stored
        return place

    def _go_to(self, place: Place | None) -> None:
        self.state.restore(self._empty if place is None else place.snapshot)
        self.text, self.ids = ("", []) if place is None else (place.text, list(place.ids))
        self._marked = len(self.text)

    def extend(
        self,
        text: str,
        ids: Sequence[int],
        spelling: Spelling,
        on_chunk: Callable[[int], None],
        *,
        chunk: int = CHUNK_TOKENS,
    ) -> None:
        """Absorb ids, which encode text, a chunk at a time; on_chunk(number of tokens) follows each and may raise.

        Mutates    self; consistent at every call of on_chunk
        """
        known, unmarked = self.text, 0
        for start in range(0, len(ids), chunk):
            part = ids[start : start + chunk]
            self._model.extend(self.state, np.array(part, dtype=np.int32))
            self.ids += part
            is_last = start + len(part) == len(ids)
            self.text = known + (text if is_last else spelling.decode(ids[: start + len(part)]))
            unmarked += len(part)
            if unmarked >= REPLAY_TOKENS and not is_last and (known + text).startswith(self.text):
                self.mark()
                unmarked = 0
            on_chunk(len(part))

    def note_generated(self, ids: Sequence[int], spelling: Spelling) -> None:
        """Take in what a generation absorbed since, prompt first. Mutates self."""
        self.ids += ids
        self.text += spelling.decode(ids)

    def place(self) -> Place:
        """Where this is, as a value; the state must be known, as it is between answers."""
        return Place(text=self.text, ids=tuple(self.ids), snapshot=self.state.snapshot())

    def mark(self, *, keep: Keep = "passing", on_disk: bool = False) -> None:
        """Remember this place in the cache, and if on_disk and there is a store, on disk. Mutates self."""
        if not self.ids or not self._is_known():
            return
        self._marked = len(self.text)
        store = self._store if on_disk else None
        if self._tree.touch(self.text, self.adapter) and keep == "passing" and store is None:
            return
        place = self.place()
        self._tree.put(place, keep=keep)
        if store is not None:
            store.put(place)
