"""A progress bar for long work, on a terminal; nothing elsewhere. Start at progress_bar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mambino.cli.terminal import has_colour

Report = Callable[[str, int, int], None]  # (what is being done, done, in all)

_SHOWN = 34  # characters of what is being done


@contextmanager
def progress_bar() -> Iterator[Report]:
    """A bar on standard error that vanishes at the end."""
    if not has_colour(sys.stderr):
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what[-_SHOWN:], completed=done, total=total)

        yield report
