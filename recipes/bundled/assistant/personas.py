"""The personas that come with mambino, as their models see them. Start at system_text."""

from functools import cache
from pathlib import Path

import mambino
from mambino.chat.persona import find_persona


@cache
def system_text(name: str) -> str:
    """Raises InputError that lists what there is."""
    return find_persona(name, [Path(mambino.__file__).parent / "personas"]).system_text()
