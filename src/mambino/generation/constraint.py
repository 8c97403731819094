"""What steers the next token: a grammar, a schema, a thinking budget. Only the protocol; nothing here knows text."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Constraint(Protocol):
    """Asked before every choice, told after it."""

    def forced(self) -> Sequence[int]:
        """Ids that must come next, in this order: nothing is left to choose, so they are absorbed in one pass.

        Empty if there is a choice. advance() is called for each of them too.
        """
        ...

    def mask(self) -> NDArray[np.bool_] | None:
        """Shape (V,), False for ids that may not come next; None allows all."""
        ...

    def bias(self) -> Mapping[int, float]:
        """Added to the logits of these ids for the next choice; usually empty."""
        ...

    def advance(self, token: int) -> None:
        """token was chosen. Mutates self."""
        ...
