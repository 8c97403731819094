"""`mambino chat`: talk with a model in the terminal, or line by line through a pipe. Start at command."""

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Thread
from types import FrameType

import click

from mambino.chat.answering import Answerer
from mambino.chat.context import ContextPolicy
from mambino.chat.persona import find_persona
from mambino.chat.session import Chat
from mambino.chat.toolbox import ToolBox
from mambino.cli.adapters import with_personas
from mambino.cli.chat_commands import Answer, Commands, Talk
from mambino.cli.chat_input import open_input
from mambino.cli.chat_view import AnswerView
from mambino.cli.opening import Opened, open_all
from mambino.cli.options import (
    chosen_model,
    debug_option,
    model_options,
    overrides,
    sampling_options,
    thinking_option,
)
from mambino.cli.personas import adapter_of, folders, is_pack, mcp_tools, memory_of, open_persona, tools_of
from mambino.cli.sampling import ChosenSampling, choose_sampling
from mambino.cli.terminal import human_bytes, human_count, note, paint, quiet_keyboard, write
from mambino.errors import MambinoError


@click.command()
@model_options
@sampling_options
@click.option("-s", "--system", metavar="TEXT", help="Instructions for the whole conversation.")
@thinking_option
@click.option("-p", "--persona", metavar="NAME", help="Who answers: a name from `mambino persona list`, or a file.")
@click.option("--tool", "tools", multiple=True, metavar="NAME", help="clock, calculator, notes or home; repeatable.")
@click.option("--mcp", "servers", multiple=True, metavar="COMMAND|URL", help="Tools of an MCP server; repeatable.")
@click.option(
    "--when-full",
    type=click.Choice(["error", "drop", "summarise"]),
    default="error",
    show_default=True,
    help="When the context is full: stop, forget the oldest turns, or have the model sum them up.",
)
@click.option("--keep-state", is_flag=True, help="Keep what was read on disk, so that the next start need not read it.")
@click.option("--load", "saved", type=click.Path(), metavar="FILE", help="Go on with a conversation from /save.")
@click.option("--no-history", is_flag=True, help="Do not keep what you type for the next time.")
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    system: str | None,
    thinking: bool | None,
    persona: str | None,
    tools: tuple[str, ...],
    servers: tuple[str, ...],
    when_full: ContextPolicy,
    keep_state: bool,
    saved: str | None,
    no_history: bool,
) -> None:
    """Talk with a model.

    Enter sends; Alt-Enter (or Esc, Enter) begins a new line; a line of three quotes opens and closes a longer text.
    Ctrl-C stops an answer and keeps the conversation; Ctrl-D leaves. /help lists what else can be done.

    \b
    mambino chat
    mambino chat -m zoo/ape:Q4_K_M --system "You are a pirate."
    mambino chat -m ./model.gguf --no-think -t 0.3
    mambino chat --persona innkeeper --when-full summarise

    Through a pipe, every line of standard input is one message.
    """
    if persona is not None and system is not None:
        raise click.UsageError("--persona brings its own system text; leave --system out.")
    asked = overrides(ctx)
    options = chosen_model(ctx)
    if persona is not None and not is_pack(persona):
        options = with_personas(options, [find_persona(persona, folders())])
    opened = open_all(options)
    pack = None if persona is None else open_persona(persona, opened.model, opened.fingerprint)
    advised: Mapping[str, object] = {} if pack is None else pack.persona.sampling
    sampling = choose_sampling(opened.checkpoint, asked, advised=advised)
    memory = None if pack is None else memory_of(pack.persona)
    chat = Chat(
        opened.model,
        opened.tokenizer,
        max_tokens=opened.context,
        params=sampling.params,
        system=system,
        persona=None if pack is None else pack.persona,
        remembered="" if memory is None else memory.text(),
        thinking=thinking,
        when_full=when_full,
        cache=opened.cache(),
        store=opened.store() if keep_state else None,
        adapter=opened.adapters.default if pack is None else adapter_of(pack, opened.adapters),
    )
    answerer = chat.answerer
    if pack is not None and pack.place is not None:
        answerer.cache.put(pack.place, keep="pinned")
    elif pack is not None and pack.note:
        note(f"{pack.note}; the persona's text is read again")
    talk = Talk(opened=opened, chat=chat, sampling=sampling, view=AnswerView())
    commands = Commands(talk)
    _greet(opened, sampling)
    if pack is not None and pack.persona.greeting:
        write(f"{pack.persona.greeting}\n", sys.stdout)
    if saved is not None:
        commands.run(f"/load {saved}")
    own_tools = (*tools, *(() if pack is None else pack.persona.tools))
    with mcp_tools(servers) as fetched:
        _equip(chat, answerer, tools_of(own_tools, memory, fetched))
        try:
            _talk(talk, commands, keep_history=not no_history)
        finally:
            answerer.stop_settling()
            if keep_state:
                answerer.persist()


def _equip(chat: Chat, answerer: Answerer, tools: ToolBox) -> None:
    """Give chat its tools, if its model can be told of them."""
    if tools.schemas and not answerer.knows_tools:
        note("this model's chat template knows no tools; it talks without them")
    elif tools.schemas:
        chat.tools = tools
        Thread(target=_prepare, args=(chat,), daemon=True).start()  # while the first question is typed
        note(f"tools: {', '.join(str(schema['name']) for schema in tools.schemas)}")


def _greet(opened: Opened, sampling: ChosenSampling) -> None:
    config = opened.model.config
    size = f"{human_count(config.num_parameters)} parameters, {human_bytes(opened.checkpoint.nbytes)}"
    note(f"{opened.name}: {size}, context {opened.context} tokens")
    note(f"sampling: {sampling.describe()}")
    if sys.stdin.isatty():
        note("/help for help, Ctrl-D to leave")


def _talk(talk: Talk, commands: Commands, *, keep_history: bool) -> None:
    """Read, answer, repeat, until the end of input or /quit."""
    read = open_input(keep_history=keep_history)
    while (text := read()) is not None:
        try:
            if commands.is_command(text):
                if not commands.run(text):
                    return
                answer = commands.take_answer()
            else:
                answer = talk.ask(text.removeprefix("/") if text.startswith("//") else text)
        except MambinoError as error:
            _complain(error)
            continue
        if answer is not None:
            _show(talk, answer)
            if sys.stdin.isatty():  # while the next question is typed
                Thread(target=_settle, args=(talk.chat,), daemon=True).start()


def _prepare(chat: Chat) -> None:
    with suppress(MambinoError):  # the first answer will say so
        chat.prepare()


def _settle(chat: Chat) -> None:
    """Absorb what the next prompt will hold of this one. Nothing is lost where it fails: the prompt will say so."""
    with suppress(MambinoError):
        chat.settle()


def _show(talk: Talk, answer: Answer) -> None:
    try:
        with _ctrl_c_stops(talk.chat), quiet_keyboard():
            talk.view.show(answer, talk.chat)
    except MambinoError as error:
        _complain(error)
    except KeyboardInterrupt:
        note("\nstopped")


def _complain(error: MambinoError) -> None:
    print(paint(str(error), "red", sys.stderr), file=sys.stderr)


@contextmanager
def _ctrl_c_stops(chat: Chat) -> Iterator[None]:
    """The first Ctrl-C lets the running step end and stops there; the second interrupts the step."""

    def stop(number: int, frame: FrameType | None) -> None:
        chat.stop()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
