"""Which wire format a chat template speaks, told from its own text: facts, not model names.

Start at wire_format_of.
"""

from mambino.chat.wire.format import WireFormat
from mambino.chat.wire.hermes import HERMES
from mambino.chat.wire.nano_v2 import NANO_V2
from mambino.chat.wire.nemotron import NEMOTRON


def wire_format_of(template_source: str) -> WireFormat | None:
    """None if the template knows no tools, or writes calls in a way that we do not read."""
    if "tools" not in template_source:
        return None
    if "<TOOLCALL>" in template_source:
        return NANO_V2
    if "<function=" in template_source:
        return NEMOTRON
    if "<tool_call>" in template_source:
        return HERMES
    return None
