"""`mambino persona`: list, show, make and pack personas. Start at command."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from mambino.chat.messages import Message
from mambino.chat.persona import Persona, check_id, find_persona, list_personas
from mambino.chat.persona_pack import SUFFIX, write_pack
from mambino.chat.request import AnswerRequest
from mambino.cli.adapters import with_personas
from mambino.cli.opening import open_all
from mambino.cli.options import chosen_model, debug_option, json_option, model_options
from mambino.cli.personas import folders, memory_of, own_folder, source_of, tools_of
from mambino.cli.terminal import PromptProgress, human_bytes, note
from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.formats.adapter import Adapter
from mambino.formats.gguf_adapter import read_gguf_adapter, write_gguf_adapter

_TEMPLATE = """\
name = "{name}"
description = "One line about who this is"

# Who they are and how they speak.
voice = "You are friendly and brief."

# One sentence each.
rules = [
    "Answer in the language of the question.",
]

# What they say first; "" for nothing.
greeting = "Hello!"

# Tools that they may use: clock, calculator, home.
tools = []

# "auto", "off", "on", or at most this many tokens.
thinking = "auto"

# A small adapter beside this file (see `mambino tune`), added to the model when they speak; "" for none.
adapter = ""

# Facts to remember from one conversation to the next; 0 for none.
memory = 0

[sampling]
temperature = 0.7
"""


@click.group()
@debug_option
def command() -> None:
    """Personas: who the model is, as small text files.

    \b
    mambino persona list
    mambino persona new gardener                 writes a file to edit
    mambino chat --persona gardener
    mambino persona pack gardener -m model.gguf  one file that answers at once
    """


@command.command("list")
@json_option
@debug_option
def list_command(as_json: bool) -> None:
    """List the personas on this machine; your own come first where two have the same name."""
    personas = list_personas(folders())
    if as_json:
        rows = [{"id": one.id, "name": one.name, "description": one.description} for one in personas]
        print(json.dumps(rows, ensure_ascii=False))
        return
    width = max(len(persona.id) for persona in personas)
    for persona in personas:
        print(f"{persona.id:<{width}}  {persona.description}")


@command.command()
@click.argument("name")
@debug_option
def show(name: str) -> None:
    """Print the file of a persona."""
    print(source_of(find_persona(name, folders())).read_text(encoding="utf-8"), end="")


@command.command()
@click.argument("name")
@debug_option
def new(name: str) -> None:
    """Write a persona file to edit. NAME: lower-case letters, digits, - and _."""
    path = own_folder() / f"{check_id(name)}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(_TEMPLATE.format(name=name.replace("-", " ").replace("_", " ").title()))
    except FileExistsError:
        raise InputError(f"[persona] {path} exists; edit it, or choose another name") from None
    note(f"wrote {path}; edit it, then: mambino chat --persona {name}")


@command.command()
@click.argument("name")
@click.option("-o", "--out", type=click.Path(path_type=Path), help=f"The file to write.  [default: NAME{SUFFIX}]")
@model_options
@debug_option
@click.pass_context
def pack(ctx: click.Context, name: str, out: Path | None) -> None:
    """Put a persona and its precomputed state for one model into one file.

    `mambino chat --persona FILE` then answers at once, whatever the length of the persona's text. With another model
    the pack still works; its text is read as usual.
    """
    persona = find_persona(name, folders())
    text = source_of(persona).read_text(encoding="utf-8")
    path = Path(f"{persona.id}{SUFFIX}") if out is None else out
    if path.suffix != SUFFIX:
        raise InputError(f"[persona] {path}: a pack's name ends in {SUFFIX}")
    opened = open_all(with_personas(chosen_model(ctx), [persona]))
    answerer = opened.answerer()
    tools = tools_of(persona.tools, memory_of(persona)).schemas if answerer.knows_tools else ()
    with TemporaryDirectory() as scratch:
        file, adapter = _packed_adapter(opened.adapters.of_persona(persona), opened.model.config, Path(scratch))
        progress = PromptProgress()
        try:
            place = answerer.warm(request_of(persona, tools, adapter), on_progress=progress)
        finally:
            progress.clear()
        if place is not None:
            write_pack(path, text, place, opened.model, opened.fingerprint, adapter=file)
    if place is None:
        raise InputError(f"[persona] the chat template of {opened.name} has no control tokens to cut a state at")
    note(f"wrote {path}: {human_bytes(path.stat().st_size)}, {len(place.ids)} tokens already read by {opened.name}")


def _packed_adapter(adapter: Adapter | None, config: HybridConfig, folder: Path) -> tuple[Path | None, Adapter | None]:
    """The file of adapter, and the values that it will be read as: those of the pack's state."""
    if adapter is None:
        return None, None
    file = folder / "adapter.gguf"
    write_gguf_adapter(file, adapter, config)
    return file, read_gguf_adapter(file, config)


def request_of(
    persona: Persona, tools: tuple[Mapping[str, object], ...], adapter: Adapter | None = None
) -> AnswerRequest:
    """What every conversation with persona begins with; tools are schemas."""
    return AnswerRequest(
        messages=(Message(role="system", content=persona.system_text()),),
        thinking=persona.thinking,
        tools=tools,
        adapter=adapter,
    )
