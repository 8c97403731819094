"""Which dtype the small, delicate numbers use: dt, decay, recurrent state, norms, softmax weights of the conv.

Matrices and the residual stream use the model's dtype; everything else uses its working dtype.
"""

import torch


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """float64 for a float64 model, float32 for every other."""
    return torch.float64 if dtype == torch.float64 else torch.float32
