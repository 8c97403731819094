"""What a wire format is: the texts that open a call, and how to read, write and constrain calls. Values only.

Knows no format. Start at WireFormat.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mambino.chat.messages import ToolCall
from mambino.errors import InputError

_NAME = re.compile(r"[\w.:/-]{1,128}")

Schema = Mapping[str, object]
Tools = Mapping[str, Schema]  # JSON schemas of the parameters, by the name of the tool


@dataclass(frozen=True, slots=True, kw_only=True)
class CallBegun:
    """A call of a known tool; from here on whatever follows ends in CallComplete."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentsText:
    """A piece of the JSON text of the arguments; a call's pieces together are one JSON object."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallComplete:
    """repairs say in words what the model left out."""

    repairs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotACall:
    """Text that looked like a call and is none, as it was."""

    text: str


CallPiece = CallBegun | ArgumentsText | CallComplete | NotACall


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader made of some text. rest is the text after its calls; None: it wants more."""

    pieces: Sequence[CallPiece]
    rest: str | None = None


class CallReader(Protocol):
    """Reads calls from the end of an opening on. What it returns depends on the whole text, not on how it was cut."""

    def feed(self, text: str) -> Reading:
        """Mutates self. Never raises, whatever the text."""
        ...

    def finish(self) -> Reading:
        """The answer ended here. Mutates self."""
        ...


class TagSpelling(Protocol):
    """A tag as a symbol of a Lark grammar: a control token where the vocabulary has one, else a string."""

    def __call__(self, tag: str, /) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGrammar:
    """Rules in llguidance's Lark; they define `call`, one call with its tags.

    opening is the tag, as text, that begins a block of calls; before, between and after are symbols (or empty) around
    the calls of the block.
    """

    rules: str
    opening: str
    before: str
    between: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WireFormat:
    """One way to write calls.

    openings   texts at which a call begins; the first one is what the grammar opens with
    closing    the text that ends what the first opening began
    read       (opening, tools) -> a reader for what follows that opening
    render     calls as the template writes them
    grammar    (tools, spelling) -> rules for calls of these tools
    """

    name: str
    openings: tuple[str, ...]
    closing: str
    read: Callable[[str, Tools], CallReader]
    render: Callable[[Sequence[ToolCall]], str]
    grammar: Callable[[Tools, TagSpelling], CallGrammar]


def check_tool_name(name: str) -> None:
    """Raises InputError for a name that cannot be written between tags, or in quotes, and read back."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"[tools] tool name {name[:80]!r}: expected 1 to 128 letters, digits, or any of _ . : / -; rename it"
        )


def tools_by_name(schemas: Sequence[Schema]) -> dict[str, Schema]:
    """Parameters by name, of functions as JSON schemas. Raises InputError for a bad or missing name, or a second."""
    tools: dict[str, Schema] = {}
    for schema in schemas:
        name, parameters = schema.get("name"), schema.get("parameters", {})
        if not isinstance(name, str) or not isinstance(parameters, Mapping):
            raise InputError(f"[tools] expected an object with a name and parameters, got {str(dict(schema))[:80]}")
        check_tool_name(name)
        if name in tools:
            raise InputError(f"[tools] two tools are named {name!r}; rename one")
        tools[name] = parameters
    return tools
