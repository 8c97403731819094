"""What the tokens of one forward pass mean: where each sits in its document, and who may see whom.

Computed once, read by every layer. Knows nothing of layers. Start at Span.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mambino.model.conv import Crossing

# Letters: B rows, T tokens a row.


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """B rows of T tokens, in one of three readings: fresh rows, packed documents, or the next tokens of states.

    positions_BT  place of each token in its own document (or sequence), from 0
    resets_BT     true at a document's first token; None unless packed
    crossings     per lag 1, 2, ...: where a conv tap would reach into another document; () unless packed
    mask_B1TT     query i may see key j; None means plainly causal
    starts        tokens that each row's state had absorbed; () without states
    lengths       real tokens of each row, the rest is padding; () without states
    """

    positions_BT: Tensor
    resets_BT: Tensor | None = None
    crossings: tuple[Crossing, ...] = ()
    mask_B1TT: Tensor | None = None
    starts: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()

    @classmethod
    def fresh(cls, tokens_BT: Tensor) -> "Span":
        """Every row is one document from its first token on."""
        positions = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        return cls(positions_BT=positions.expand_as(tokens_BT))

    @classmethod
    def packed(cls, resets_BT: Tensor, *, max_lag: int) -> "Span":
        """Every row holds documents one after another; resets_BT marks their first tokens."""
        num_tokens = resets_BT.shape[1]
        index_T = torch.arange(num_tokens, device=resets_BT.device)
        documents_BT = resets_BT.cumsum(dim=1)
        first_BT = torch.where(resets_BT, index_T, 0).cummax(dim=1).values
        same_BTT = documents_BT[:, :, None] == documents_BT[:, None, :]
        return cls(
            positions_BT=index_T - first_BT,
            resets_BT=resets_BT,
            crossings=tuple(_crossing(documents_BT, lag) for lag in range(1, max_lag + 1)),
            mask_B1TT=(same_BTT & (index_T[:, None] >= index_T))[:, None],
        )

    @classmethod
    def continued(cls, tokens_BT: Tensor, starts: Sequence[int], lengths: Sequence[int]) -> "Span":
        """Row b holds the next lengths[b] tokens of a sequence that has starts[b] already."""
        starts_B = torch.tensor(starts, device=tokens_BT.device)
        positions = starts_B[:, None] + torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        return cls(positions_BT=positions, starts=tuple(starts), lengths=tuple(lengths))

    @property
    def is_ragged(self) -> bool:
        """Some rows are padded."""
        return any(length != self.positions_BT.shape[1] for length in self.lengths)


def _crossing(documents_BT: Tensor, lag: int) -> Crossing:
    """Tokens whose lag-th predecessor is in the row but in another document; before the row there are zeros anyway."""
    crosses = documents_BT[:, lag:] != documents_BT[:, :-lag]
    rows, tokens = functional.pad(crosses, (min(lag, documents_BT.shape[1]), 0)).nonzero(as_tuple=True)
    return rows, tokens
