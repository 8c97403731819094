"""Where personas are found, the user's own folder first, and what they may use. Start at open_persona."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mambino
from mambino.chat.builtin_tools.named import builtin_tools
from mambino.chat.memory import Memory
from mambino.chat.persona import Persona, find_persona
from mambino.chat.persona_pack import SUFFIX, Pack, open_pack
from mambino.chat.toolbox import ToolBox
from mambino.chat.tools import Tool, tool
from mambino.cli.adapters import Adapters
from mambino.formats.adapter import Adapter
from mambino.hub.local import home
from mambino.lm import LanguageModel


def own_folder() -> Path:
    """Of the personas that the user made; need not exist."""
    return home() / "personas"


def folders() -> list[Path]:
    return [own_folder(), Path(mambino.__file__).parent / "personas"]


def source_of(persona: Persona) -> Path:
    """The file that a found persona was read from."""
    return next(path for folder in folders() if (path := folder / f"{persona.id}.toml").is_file())


def is_pack(name: str) -> bool:
    """Whether name is the file of a pack, not a persona's id or text file."""
    return name.endswith(SUFFIX) and Path(name).is_file()


def open_persona(name: str, model: LanguageModel, fingerprint: str) -> Pack:
    """A persona by id, .toml file or pack. Raises InputError or FormatError."""
    if is_pack(name):
        return open_pack(Path(name), model, fingerprint)
    return Pack(persona=find_persona(name, folders()), place=None)


def adapter_of(pack: Pack, adapters: Adapters) -> Adapter | None:
    """What the persona of pack speaks with. Raises InputError for a name that nobody gave."""
    return adapters.of_persona(pack.persona) if pack.adapter is None else pack.adapter


def memory_of(persona: Persona) -> Memory | None:
    """What the persona remembers, in the cache folder; None if it remembers nothing. Raises FormatError."""
    return Memory(home() / "memories" / f"{persona.id}.json", persona.memory) if persona.memory else None


def own_tools(names: Sequence[str], memory: Memory | None = None) -> tuple[Tool, ...]:
    """The built-in tools of these names, and the one that remembers. Raises InputError for an unknown name."""
    tools = builtin_tools(list(dict.fromkeys(names)), folder=home() / "notes")
    return (*tools, *(() if memory is None else (tool(memory.remember),)))


def tools_of(names: Sequence[str], memory: Memory | None = None, more: Sequence[Tool] = ()) -> ToolBox:
    """own_tools and more, to be called. Raises InputError for an unknown name."""
    return ToolBox((*own_tools(names, memory), *more))


@contextmanager
def mcp_tools(servers: Sequence[str]) -> Iterator[Sequence[Tool]]:
    """The tools of MCP servers, each a URL or a command to start. Raises ToolError for one that does not answer."""
    if not servers:
        yield ()
        return
    from mambino.chat.mcp import McpServer, McpTools  # an extra, only for those who use it

    known = [
        McpServer(name=f"mcp{number}", url=text)
        if text.startswith(("http://", "https://"))
        else McpServer(name=f"mcp{number}", command=tuple(shlex.split(text)))
        for number, text in enumerate(servers, start=1)
    ]
    with McpTools(known) as connected:
        yield connected.tools
