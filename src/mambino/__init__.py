"""mambino: run, shrink, teach and measure compact hybrid Mamba-Transformer language models.

The front door. Names load on first use, so `import mambino` stays fast and needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mambino.chat.persona import Persona as Persona
    from mambino.chat.session import Chat as Chat
    from mambino.chat.tools import tool as tool
    from mambino.config import HybridConfig as HybridConfig
    from mambino.generation.generate import generate as generate
    from mambino.generation.params import SamplingParams as SamplingParams
    from mambino.load import open_model as open_model
    from mambino.load import open_tokenizer as open_tokenizer

_HOMES = {
    "Chat": "mambino.chat.session",
    "HybridConfig": "mambino.config",
    "Persona": "mambino.chat.persona",
    "SamplingParams": "mambino.generation.params",
    "generate": "mambino.generation.generate",
    "open_model": "mambino.load",
    "open_tokenizer": "mambino.load",
    "tool": "mambino.chat.tools",
}
__all__ = ["Chat", "HybridConfig", "Persona", "SamplingParams", "generate", "open_model", "open_tokenizer", "tool"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mambino' has no attribute {name!r}")
