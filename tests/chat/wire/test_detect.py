"""The wire format is read off the template, and our rendering is what that template writes."""

from pathlib import Path

import pytest

from mambino.chat.messages import Message, ToolCall
from mambino.chat.template import ChatTemplate
from mambino.chat.wire.detect import wire_format_of
from mambino.chat.wire.hermes import HERMES
from mambino.chat.wire.nano_v2 import NANO_V2
from mambino.chat.wire.nemotron import NEMOTRON

NEMOTRON_3, NANO = "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16.jinja", "NVIDIA-Nemotron-Nano-v2.jinja"
CALLS = tuple(
    ToolCall(id="1", name="add", arguments={"x": 2, "y": [1, "é"], "z": {"k": None}, "s": "a\nb"}) for _ in range(2)
)


def source(shared_dir: Path, name: str) -> str:
    path = shared_dir / "data/templates" / name
    if not path.exists():
        pytest.skip(f"SKIPPED LOUDLY: {path} is not here")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "wire"), [(NEMOTRON_3, NEMOTRON), (NANO, NANO_V2)])
def test_shipped_templates(shared_dir: Path, name: str, wire: object) -> None:
    template = source(shared_dir, name)
    found = wire_format_of(template)
    assert found is wire
    assert found is not None
    asked = (Message(role="user", content="?"), Message(role="assistant", content="Hm.", tool_calls=CALLS))
    rendered = ChatTemplate(template).render((*asked, Message(role="user", content="!")))
    assert found.render(CALLS) in rendered


def test_other_templates() -> None:
    assert wire_format_of("{% if tools %}<tool_call>{{ '{' }}</tool_call>{% endif %}") is HERMES
    assert wire_format_of("{{ messages }}") is None
    assert wire_format_of("{% if tools %}[TOOL_CALLS]{% endif %}") is None
