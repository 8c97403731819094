"""What every verb that trains needs first. Start at require_torch."""

from mambino.errors import Unsupported


def require_torch() -> None:
    """Raises Unsupported, naming the extra, without PyTorch.

    Mutates    the process: denormals are flushed from here on
    """
    try:
        import torch
    except ImportError as error:
        raise Unsupported("[train] training needs PyTorch: pip install 'mambino[train]'") from error
    torch.set_flush_denormal(True)  # decayed states are full of denormals, which are slow
