"""Adapters as the command line names them: --adapter PATH, --adapter NAME=PATH, and those of personas.

Start at open_adapters; with_personas says what personas bring along.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mambino.chat.persona import Persona
from mambino.cli.options import ModelOptions
from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.formats.adapter import Adapter
from mambino.load import open_adapter

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """default is applied where none is asked for."""

    default: Adapter | None = None
    named: Mapping[str, Adapter] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """As read, and once more in the form of the engine that runs them."""
        return 2 * sum(one.nbytes for one in (self.default, *self.named.values()) if one is not None)

    def of_persona(self, persona: Persona) -> Adapter | None:
        """What persona speaks with. Raises InputError for a name that nobody gave."""
        if not persona.adapter:
            return self.default
        if persona.adapter_name not in self.named:
            name = persona.adapter_name
            raise InputError(f"[persona] {persona.id} speaks with adapter {name!r}; give --adapter {name}=PATH")
        return self.named[persona.adapter_name]


def open_adapters(given: Sequence[str], config: HybridConfig) -> Adapters:
    """Every PATH or NAME=PATH of given.

    Raises     InputError for two defaults or one name twice; what open_adapter raises
    """
    default: Adapter | None = None
    named: dict[str, Adapter] = {}
    for text in given:
        name, path = split_adapter(text)
        if name in named or (not name and default is not None):
            raise InputError(f"[adapter] --adapter {text}: {name or 'a default'} is there already; name it: NAME=PATH")
        adapter = open_adapter(path, config)
        if name:
            named[name] = adapter
        else:
            default = adapter
    return Adapters(default=default, named=named)


def split_adapter(text: str) -> tuple[str, str]:
    """(name, path); "" for the default. A path that exists is a path, whatever it looks like."""
    match = None if Path(text).exists() else _NAMED.fullmatch(text)
    return ("", text) if match is None else (match[1], match[2])


def with_personas(options: ModelOptions, personas: Iterable[Persona]) -> ModelOptions:
    """options that also open the files that personas bring, under their ids; a name that was given stays what it is."""
    known = {split_adapter(text)[0] for text in options.adapters}
    files = {one.id: one.adapter for one in personas if one.brings_adapter and one.id not in known}
    return replace(options, adapters=(*options.adapters, *(f"{name}={path}" for name, path in files.items())))
