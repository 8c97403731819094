"""What a state has absorbed, as text and as ids, and how to reach another text from there at the least cost.

A recurrent state cannot be cut back: going back means restoring a snapshot (a mark) and replaying from it.
Knows the lm contract; text is opaque here. Start at AbsorbedText.seek.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mambino.lm import LanguageModel, SequenceState, Snapshot

MAX_MARKS = 3  # the oldest one stays (it ends the system prompt), and the newest two turns
CHUNK_TOKENS = 512  # between two progress reports


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    text: str
    ids: tuple[int, ...]
    snapshot: Snapshot


class AbsorbedText:
    """A state and the text that it stands for.

    Invariant: ids are exactly what the state absorbed; text is what they were encoded from, or generated as. Generated
    ids are kept as they are, never encoded again, so that a conversation is the same to the model as it was.
    """

    def __init__(self, model: LanguageModel, max_tokens: int, decode: Callable[[Sequence[int]], str]) -> None:
        """decode gives the text of ids."""
        self._model = model
        self._decode = decode
        self._max_tokens = max_tokens
        self._marks: list[_Mark] = []
        self.state: SequenceState = model.new_state(max_tokens)
        self.text = ""
        self.ids: list[int] = []

    @property
    def nbytes(self) -> int:
        """Bytes of the state and of all marks."""
        return self.state.nbytes + sum(mark.snapshot.nbytes for mark in self._marks)

    def seek(self, text: str) -> str:
        """Move to the furthest reachable proper beginning of text, and return the rest, which is never empty.

        Mutates    self: the state may go back to a mark, or to the start; marks that text has left are dropped
        """
        self._marks = [mark for mark in self._marks if text.startswith(mark.text)]
        is_known = self.state.position == len(self.ids)  # not after Ctrl-C between two statements of extend
        if not (is_known and text.startswith(self.text) and len(text) > len(self.text)):
            self._go_back(text)
        return text[len(self.text) :]

    def _go_back(self, text: str) -> None:
        reachable = [mark for mark in self._marks if len(mark.text) < len(text)]
        if reachable:
            mark = reachable[-1]
            self.state.restore(mark.snapshot)
            self.text, self.ids = mark.text, list(mark.ids)
        else:
            self.state = self._model.new_state(self._max_tokens)
            self.text, self.ids = "", []

    def extend(self, text: str, ids: Sequence[int], on_chunk: Callable[[int], None]) -> None:
        """Absorb ids, which encode text, a chunk at a time; on_chunk(number of tokens) follows each and may raise.

        Mutates    self; consistent at every call of on_chunk
        """
        known = self.text
        for start in range(0, len(ids), CHUNK_TOKENS):
            chunk = ids[start : start + CHUNK_TOKENS]
            self._model.extend(self.state, np.array(chunk, dtype=np.int32))
            self.ids += chunk
            self.text = known + (text if start + len(chunk) == len(ids) else self._decode(ids[: start + len(chunk)]))
            on_chunk(len(chunk))

    def note_generated(self, ids: Sequence[int]) -> None:
        """Take in what a generation absorbed since, prompt first. Mutates self."""
        self.ids += ids
        self.text += self._decode(ids)

    def mark(self) -> None:
        """Remember this place. Mutates self."""
        if self.ids and not any(mark.text == self.text for mark in self._marks):
            self._marks.append(_Mark(text=self.text, ids=tuple(self.ids), snapshot=self.state.snapshot()))
            if len(self._marks) > MAX_MARKS:
                del self._marks[1]
