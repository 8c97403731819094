"""Options that belong to suites and to endpoints, kept in the click context. Start at suite_options."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from mambino.evals.agents import MODULES
from mambino.evals.data import SuiteOptions

Function = TypeVar("Function", bound=Callable[..., object])
_META = "mambino.cli.eval_options"
AGENTS = tuple(MODULES)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOptions:
    """url None means a local model."""

    url: str | None = None
    model: str | None = None
    api_key: str | None = None


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    ctx.meta.setdefault(_META, {})[param.name] = value


def _shared(*names: str, **attributes: object) -> Callable[[Function], Function]:
    """An option whose value is kept in the context, not passed to the verb's function."""
    return click.option(*names, expose_value=False, callback=_keep, **attributes)  # type: ignore[arg-type]


_SUITE_OPTIONS = (
    _shared("--data", type=_FOLDER, metavar="DIR", help="Folder with the suites' files.  [default: Hugging Face]"),
    _shared("--limit", type=click.IntRange(1), metavar="N", help="Only the first N samples (of each category)."),
    _shared(
        "--length",
        type=click.IntRange(256),
        default=4096,
        show_default=True,
        metavar="N",
        help="Tokens of RULER's texts and of efficiency's long prompt, about.",
    ),
    _shared("--text", type=_FILE, metavar="FILE", help="RULER hides its needles in this text.  [default: a built-in]"),
    _shared("--agent", type=click.Choice(AGENTS), default="zeroshot", show_default=True, help="Of the games."),
    _shared("--strict-actions", is_flag=True, help="Hold the games' answers to their grammar of actions."),
    _shared("--episodes", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="Of each game."),
)
_ENDPOINT_OPTIONS = (
    _shared("--endpoint", metavar="URL", help="Measure an OpenAI-compatible server instead, such as http://HOST/v1."),
    _shared("--api-model", metavar="NAME", help="The model's name at the endpoint."),
    _shared(
        "--api-key",
        metavar="VARIABLE",
        default="OPENAI_API_KEY",
        show_default=True,
        help="Environment variable that holds the endpoint's key.",
    ),
)


def suite_options(function: Function) -> Function:
    """Add --data, --limit, --length, --text, --agent, --strict-actions and --episodes."""
    for option in reversed(_SUITE_OPTIONS):
        function = option(function)
    return function


def endpoint_options(function: Function) -> Function:
    """Add --endpoint, --api-model and --api-key."""
    for option in reversed(_ENDPOINT_OPTIONS):
        function = option(function)
    return function


def chosen_suite_options(ctx: click.Context) -> SuiteOptions:
    kept = ctx.meta[_META]
    return SuiteOptions(
        folder=kept["data"],
        limit=kept["limit"],
        length=kept["length"],
        text=kept["text"],
        agent=kept["agent"],
        episodes=kept["episodes"],
        strict=kept["strict_actions"],
    )


def chosen_endpoint(ctx: click.Context) -> EndpointOptions:
    """Raises UsageError for half an endpoint."""
    kept = ctx.meta[_META]
    if (kept["endpoint"] is None) != (kept["api_model"] is None):
        raise click.UsageError("--endpoint URL and --api-model NAME belong together")
    return EndpointOptions(url=kept["endpoint"], model=kept["api_model"], api_key=os.environ.get(kept["api_key"]))
