"""What restricts the next token: a grammar, a schema, a thinking budget. Only the protocol; nothing here knows text."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Constraint(Protocol):
    """Asked before every choice, told after it."""

    def mask(self) -> NDArray[np.bool_] | None:
        """Shape (V,), False for ids that may not come next; None allows all."""
        ...

    def advance(self, token: int) -> None:
        """token was chosen. Mutates self."""
        ...
