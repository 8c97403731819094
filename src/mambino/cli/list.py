"""`mambino list`: the models on this machine."""

import json

import click

from mambino.cli.options import debug_option, json_option
from mambino.cli.terminal import human_bytes, note
from mambino.hub.local import installed, models_folder


@click.command()
@json_option
@debug_option
def command(as_json: bool) -> None:
    """List the models on this machine: the bundled one, and what was fetched with pull.

    Each name can be given to chat -m, run -m and info.
    """
    models = installed()
    if as_json:
        rows = [
            {"name": model.name, "path": str(model.path), "nbytes": model.nbytes, "bundled": model.is_bundled}
            for model in models
        ]
        print(json.dumps(rows, ensure_ascii=False))
        return
    width = max((len(model.name) for model in models), default=0)
    for model in models:
        where = "part of mambino" if model.is_bundled else str(model.path)
        print(f"{model.name:<{width}}  {human_bytes(model.nbytes):>8}  {where}")
    if not models or all(model.is_bundled for model in models):
        note(f"nothing fetched yet in {models_folder()}; `mambino pull ORG/REPO` fetches a model")
