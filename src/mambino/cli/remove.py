"""`mambino remove`: delete a fetched model."""

import click

from mambino.cli.options import debug_option
from mambino.cli.terminal import human_bytes, note
from mambino.hub.local import remove


@click.command()
@click.argument("name")
@debug_option
def command(name: str) -> None:
    """Delete the fetched model NAME, as `mambino list` shows it. Files that were not fetched are never touched."""
    removed = remove(name)
    note(f"removed {removed.name}, {human_bytes(removed.nbytes)}")
