"""`mambino VERB ...`: finds the verb's file, runs it, and turns errors into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Start at main.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from mambino.cli.terminal import paint
from mambino.errors import MambinoError

FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141

# verb -> what --help says of it; mambino.cli.VERB holds the command, named `command`.
VERBS = {
    "run": "Answer one prompt and exit.",
    "chat": "Talk with a model.",
    "serve": "Serve a model: OpenAI and Anthropic APIs, and a web page.",
    "persona": "List, make and pack personas.",
    "info": "Show what a model is, what it needs, and which kernels serve it.",
    "plan": "Show what a model takes in memory, and whether that fits.",
    "bench": "Time a model on this machine.",
    "quantize": "Write a model with fewer bits a weight.",
    "compress": "Make smaller models out of a large one.",
    "doctor": "Find what is wrong with a model, and repair it.",
    "pull": "Fetch a model from the Hugging Face hub.",
    "list": "List the models on this machine.",
    "remove": "Delete a fetched model.",
    "tune": "Teach a model your notes or chats: a small adapter.",
    "sft": "Teach a model from chats, all of its weights.",
    "grpo": "Teach a model by trying tasks that can be checked.",
    "dpo": "Teach a model to prefer one answer to another.",
    "eval": "Measure a model, or score answers.",
    "play": "Play a small game, or watch a model play.",
}


class _Verbs(click.Group):
    """Imports a verb's file when the verb is used, so that --help is quick and run does not load chat."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command = import_module(f"mambino.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=_Verbs, subcommand_metavar="VERB ...", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mambino", message="mambino %(version)s")
def cli() -> None:
    """Run compact hybrid Mamba-Transformer language models on this machine.

    \b
    mambino chat                        talk with the bundled model
    mambino run "Why is the sky blue?"  one answer, to standard output
    mambino run -m model.gguf "..."     with a file, or the name of a fetched model
    mambino VERB --help                 everything about one verb

    Models fetched with `pull` are kept in MAMBINO_HOME (default ~/.cache/mambino). `--debug` after any verb shows the
    full traceback of an error.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and exit. arguments None means sys.argv."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(exit_code(args))


def exit_code(args: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    debug = "--debug" in (args[: args.index("--")] if "--" in args else args)
    try:
        result = cli.main(args=list(args), prog_name="mambino", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else error.message)
        return 0
    except click.UsageError as error:
        return _say(_usage(error), USAGE, debug)
    except click.ClickException as error:
        return _say(error.format_message(), error.exit_code, debug)
    except BrokenPipeError:  # the reader of our output went away (`mambino list | head -1`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (click.Abort, KeyboardInterrupt):
        return _say("interrupted", INTERRUPTED, debug)
    except MambinoError as error:
        return _say(str(error), FAILED, debug)
    except OSError as error:
        return _say(f"{error.filename or 'system'}: {error.strerror or error}", FAILED, debug)
    except MemoryError:
        return _say("not enough memory; take a smaller model or a smaller --context", FAILED, debug)


def _say(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(paint("mambino: ", "red", sys.stderr) + message, file=sys.stderr)
    return code


def _usage(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx else "mambino"
    return f"{error.format_message()}\nTry `{command} --help`."
