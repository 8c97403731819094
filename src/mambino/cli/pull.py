"""`mambino pull`: fetch a model from the Hugging Face hub. Start at command."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from mambino.cli.options import debug_option
from mambino.cli.terminal import has_colour, human_bytes, note
from mambino.hub.download import Progress, download
from mambino.hub.remote import PullPlan, RemoteFile, plan_pull


@click.command()
@click.argument("spec", metavar="REPO[:FILE]")
@click.option("--revision", default="main", show_default=True, metavar="NAME", help="A branch, tag or commit.")
@click.option("--endpoint", metavar="URL", help="Another hub.  [default: HF_ENDPOINT, or huggingface.co]")
@debug_option
def command(spec: str, revision: str, endpoint: str | None) -> None:
    """Fetch a model from the Hugging Face hub.

    REPO is ORG/NAME. FILE is a file's name or a quantisation; it may be left out where there is one GGUF file, or none
    but safetensors. An interrupted download goes on where it stopped, and every file is checked against the hub's
    checksum before it can be used.

    \b
    mambino pull zoo/ape-GGUF:Q4_K_M
    mambino pull zoo/ape-GGUF:ape-Q8_0.gguf
    mambino pull zoo/ape --revision v2
    """
    plan = plan_pull(spec, revision=revision, endpoint=endpoint)
    files = f"{len(plan.files)} files" if len(plan.files) > 1 else plan.files[0].name
    note(f"{plan.repo} at {plan.commit[:12]}: {files}, {human_bytes(plan.nbytes)}")
    with _progress(plan) as progress:
        path = download(plan, on_progress=progress)
    print(path)
    name = plan.repo if len(plan.files) > 1 else f"{plan.repo}:{plan.files[0].name}"
    note(f"checked and ready: mambino chat -m {name}")


@contextmanager
def _progress(plan: PullPlan) -> Iterator[Progress]:
    """A bar over all files on a terminal, nothing elsewhere."""
    if not has_colour(sys.stderr):
        yield lambda file, nbytes: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("connecting", total=plan.nbytes)
        here: dict[str, int] = {}

        def report(file: RemoteFile, nbytes: int) -> None:
            here[file.name] = nbytes
            bar.update(task, completed=sum(here.values()), description=file.name.rpartition("/")[2][-40:])

        yield report
