"""Who the model is in a conversation: a value read from a TOML file, rendered to system text.

Knows no model and no folder but the ones it is given. Start at Persona; read_persona and find_persona load one.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mambino.chat.request import Thinking
from mambino.errors import FormatError, InputError

MAX_FILE_BYTES = 256 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_THINKING: dict[str, Thinking] = {"auto": None, "off": False, "on": True}
_SAMPLING = (
    *("temperature", "top_k", "top_p", "min_p", "max_tokens"),
    *("repetition_penalty", "presence_penalty", "frequency_penalty"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """id names the file; name is what the persona calls itself.

    voice     who they are and how they speak, in their system text;  rules: one sentence each
    greeting  what they say first, shown and kept in the history; "" for nothing
    tools     names of tools that they may use
    sampling  SamplingParams fields that suit them
    memory    how many facts they remember between conversations; 0 for none
    adapter   what is added to the model when they speak: the absolute path of a file beside theirs, or the name of one
              that the user gives; "" for nothing
    """

    id: str
    name: str
    description: str = ""
    voice: str = ""
    rules: tuple[str, ...] = ()
    greeting: str = ""
    tools: tuple[str, ...] = ()
    sampling: Mapping[str, object] = field(default_factory=dict)
    thinking: Thinking = None
    memory: int = 0
    adapter: str = ""

    @property
    def brings_adapter(self) -> bool:
        """Whether adapter is a file that came with the persona."""
        return Path(self.adapter).is_absolute()

    @property
    def adapter_name(self) -> str:
        """What the adapter is called where there are several: its name, or the persona's id for a file of their own."""
        return self.id if self.brings_adapter else self.adapter

    def system_text(self) -> str:
        """What the model is told about itself; the same every time, so that its state can be kept."""
        parts = [f"You are {self.name}." + (f" {self.voice.strip()}" if self.voice.strip() else "")]
        if self.rules:
            parts.append("Rules:\n" + "\n".join(f"- {rule.strip()}" for rule in self.rules))
        return "\n\n".join(parts)


def read_persona(path: Path) -> Persona:
    """Read one TOML file; its stem is the id. Raises FormatError that names the file and the field; OSError."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise FormatError(f"[persona] {path}: more than {MAX_FILE_BYTES} bytes; a persona is a page of text")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"[persona] {path}: not UTF-8 text (byte {error.start})") from error
    return _with_adapter_path(parse_persona(text, path.stem, where=str(path)), path)


def _with_adapter_path(persona: Persona, path: Path) -> Persona:
    """persona, with the path of its adapter if that is a file beside path. Raises FormatError if it is elsewhere."""
    if not persona.adapter:
        return persona
    folder = path.parent.resolve()
    adapter = (folder / persona.adapter).resolve()
    is_path = "/" in persona.adapter or "\\" in persona.adapter or adapter.exists()
    if is_path and not (adapter.is_relative_to(folder) and adapter.exists()):
        raise FormatError(f"[persona] {path}: adapter {persona.adapter!r}: no such file below {folder}; put it there")
    return replace(persona, adapter=str(adapter)) if is_path else persona


def parse_persona(text: str, persona_id: str, *, where: str) -> Persona:
    """A persona from the text of its file; where names it in errors. Raises FormatError."""
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"[persona] {where}: {error}") from error
    try:
        return _persona(fields, persona_id)
    except InputError as error:
        raise FormatError(f"[persona] {where}: {error}") from error


def find_persona(name: str, folders: Sequence[Path]) -> Persona:
    """By id, from the first folder that has it, or by path. Raises InputError that lists what there is."""
    if name.endswith(".toml") and Path(name).is_file():
        return read_persona(Path(name))
    if _NAME.fullmatch(name):
        for folder in folders:
            path = folder / f"{name}.toml"
            if path.is_file():
                return read_persona(path)
    known = ", ".join(persona.id for persona in list_personas(folders)) or "none"
    raise InputError(f"[persona] no persona {name!r}; there are: {known}. `mambino persona new {name}` makes one")


def list_personas(folders: Iterable[Path]) -> list[Persona]:
    """All of them by id, the first folder's where two have the same."""
    found: dict[str, Persona] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            if path.stem not in found and _NAME.fullmatch(path.stem):
                found[path.stem] = read_persona(path)
    return [found[key] for key in sorted(found)]


def check_id(name: str) -> str:
    """name, if it can be a persona's id. Raises InputError."""
    if not _NAME.fullmatch(name):
        raise InputError(f"[persona] {name!r}: an id is up to 64 lower-case letters, digits, - and _")
    return name


def _persona(fields: Mapping[str, object], persona_id: str) -> Persona:
    known = set(Persona.__slots__) - {"id"}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise InputError(f"unknown field {unknown[0]!r}; known are {', '.join(sorted(known))}")
    if not isinstance(fields.get("name"), str) or not fields["name"]:
        raise InputError("name: expected the name that the persona calls itself")
    return Persona(
        id=persona_id,
        name=_text(fields, "name"),
        description=_text(fields, "description"),
        voice=_text(fields, "voice"),
        rules=_texts(fields, "rules"),
        greeting=_text(fields, "greeting"),
        tools=_texts(fields, "tools"),
        sampling=_sampling(fields.get("sampling", {})),
        thinking=_thinking(fields.get("thinking", "auto")),
        memory=_count(fields.get("memory", 0)),
        adapter=_text(fields, "adapter"),
    )


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{key}: expected text, got {value!r}")
    return value


def _texts(fields: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = fields.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InputError(f"{key}: expected a list of texts, got {value!r}")
    return tuple(value)


def _sampling(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InputError(f"sampling: expected a table such as [sampling] with temperature = 0.7, got {value!r}")
    unknown = sorted(set(value) - set(_SAMPLING))
    if unknown:
        raise InputError(f"sampling.{unknown[0]}: unknown; known are {', '.join(_SAMPLING)}")
    return dict(value)


def _thinking(value: object) -> Thinking:
    if isinstance(value, str) and value in _THINKING:
        return _THINKING[value]
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise InputError(f'thinking: expected "auto", "off", "on" or a number of tokens, got {value!r}')


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
        raise InputError(f"memory: expected how many facts to remember, 0 to 1000, got {value!r}")
    return value
