"""`mambino compress VERB`: smaller models out of a large one. Each verb has a file compress_VERB.py; start there."""

from importlib import import_module

import click

from mambino.cli.options import debug_option

STEPS = {
    "plan": "List the sizes that fit a budget, and what training them would take.",
    "rank": "Score every part of a model and put the useful parts first.",
    "train": "Teach a ranked model to be good at several sizes.",
    "slice": "Cut one size out of a nested model, as a model of its own.",
    "distill": "Teach a small model what a large one says.",
    "latency": "Measure how long layers of each width take here.",
}


class _Steps(click.Group):
    """Imports a step's file when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(STEPS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in STEPS:
            return None
        command = import_module(f"mambino.cli.compress_{name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Steps"):
            formatter.write_dl(list(STEPS.items()))


@click.command(cls=_Steps, subcommand_metavar="STEP ...")
@debug_option
def command() -> None:
    """Make smaller models out of a large one.

    \b
    mambino compress plan big/ --budget 50%
    mambino compress rank big/ --data text.jsonl --out ranked/
    mambino compress train ranked/ --data text.jsonl --budget 75% --budget 50% --out nested/
    mambino chat -m nested/ --budget 50%
    mambino compress slice nested/ --budget 50% --out small.gguf --mix q8_0

    rank and train write folders that transformers opens, too. Every step is exact about what it cannot do before it
    starts to compute.
    """
