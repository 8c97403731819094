"""Logits for the loop of generate, one token after another or several guessed ones in a pass.

Guesses are only ever accepted where the loop chose the same token from the same logits, so the text is that of plain
decoding, greedy or sampled (bitwise, for models with the law of invariance). Start at Speculation.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from mambino.generation.lookup import PromptLookup
from mambino.generation.pace import Pace
from mambino.lm import Float32Array, LanguageModel, SequenceState

_MOST_DRAFTED = 15


class Reader(Protocol):
    """Gives logits after the text, told every token of it."""

    def note(self, token: int) -> None:
        """token was chosen and follows. Mutates self; the state moves when logits are asked for."""
        ...

    def logits(self) -> Float32Array:
        """After all tokens noted: (V,). Mutates self and the state."""
        ...

    def finish(self) -> None:
        """Absorb what was evaluated already, but for the last token noted. Mutates the state; may be called twice."""
        ...


class PlainReader:
    """One pass for the tokens noted since the last."""

    def __init__(self, model: LanguageModel, state: SequenceState, logits: Float32Array) -> None:
        """logits: after what state absorbed."""
        self._model = model
        self._state = state
        self._logits = logits
        self._pending: list[int] = []  # noted and not absorbed

    def note(self, token: int) -> None:
        self._pending.append(token)

    def logits(self) -> Float32Array:
        if self._pending:
            self._logits = self._model.extend(self._state, np.array(self._pending, dtype=np.int32))
            self._pending.clear()
        return self._logits

    def finish(self) -> None:
        pass


class Speculation:
    """Draft tokens from the text so far (see lookup), as many as pay (see pace), and verify them in one pass.

    Keep one for all completions of a conversation: what it measured and indexed serves the next. Not for two at once.
    clock: seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.lookup = PromptLookup()
        self.pace = Pace()
        self.drafted = 0  # tokens verified so far, beside those that plain decoding would have evaluated anyway
        self.accepted = 0  # of them came true


class SpeculativeReader:
    """A Reader that evaluates drafted tokens with the noted ones, and answers from them while they come true."""

    def __init__(
        self,
        model: LanguageModel,
        state: SequenceState,
        logits: Float32Array,
        speculation: Speculation,
        text: Sequence[int],
    ) -> None:
        """logits: after what state absorbed; text: the ids to look up in, of which state absorbed the end."""
        self._model = model
        self._state = state
        self._logits = logits
        self._speculation = speculation
        self._pending: list[int] = []  # noted, neither absorbed nor verified
        self._round: _Round | None = None
        speculation.lookup.follow(text)

    def note(self, token: int) -> None:
        self._speculation.lookup.append(token)
        if self._round is not None and self._round.comes_true(token):
            return
        if self._round is not None:
            self._settle(self._round.matched)
        self._pending.append(token)

    def logits(self) -> Float32Array:
        if self._pending:
            self._evaluate()
        return self._logits if self._round is None else self._round.rows[self._round.matched - 1]

    def finish(self) -> None:
        if self._round is not None:
            self._settle(self._round.matched - 1)

    def _evaluate(self) -> None:
        speculation, pending = self._speculation, self._pending
        room = self._state.max_tokens - self._state.position
        most = min(_MOST_DRAFTED, room - len(pending))
        draft = speculation.lookup.draft(most)
        length = speculation.pace.length(draft.match, most) if len(pending) == 1 else 0
        begin = speculation.clock()
        if length:
            tokens = (*pending, *draft.tokens[:length])
            rows = self._model.verify(self._state, np.array(tokens, dtype=np.int32))
            seconds = speculation.clock() - begin
            self._round = _Round(tokens, rows, draft.match, seconds)
        else:
            self._logits = self._model.extend(self._state, np.array(pending, dtype=np.int32))
            if len(pending) == 1:
                speculation.pace.step(speculation.clock() - begin)
        self._pending = []

    def _settle(self, count: int) -> None:
        """Absorb count of the verified tokens and account for the round."""
        done, speculation = self._round, self._speculation
        assert done is not None
        self._round = None
        begin = speculation.clock()
        self._model.accept(self._state, count)
        seconds = done.seconds + speculation.clock() - begin
        drafted, accepted = len(done.tokens) - 1, done.matched - 1
        speculation.pace.round(done.match, drafted, accepted, len(done.tokens), seconds)
        speculation.drafted += drafted
        speculation.accepted += accepted


class _Round:
    """Tokens of one verify and the logits after each; the first was chosen, so matched starts at 1."""

    def __init__(self, tokens: Sequence[int], rows: Float32Array, match: int, seconds: float) -> None:
        self.tokens = tokens
        self.rows = rows
        self.match = match
        self.seconds = seconds
        self.matched = 1  # tokens that were chosen, from the first on

    def comes_true(self, token: int) -> bool:
        """Whether token is the next one drafted. Mutates self."""
        if self.matched < len(self.tokens) and self.tokens[self.matched] == token:
            self.matched += 1
            return True
        return False
