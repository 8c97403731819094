"""`mambino eval`: measure a model, score ready-made answers, compare two runs. Start at command."""

import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from mambino.cli.eval_player import EndpointOptions, open_player
from mambino.cli.options import (
    chosen_model,
    debug_option,
    json_option,
    model_options,
    overrides,
    sampling_options,
    thinking_option,
)
from mambino.cli.terminal import has_colour, note
from mambino.evals.answers import score_answers, task_for_answers
from mambino.evals.comparison import Compared, compare_runs
from mambino.evals.data import SuiteOptions
from mambino.evals.report import results_json, shown, write_report
from mambino.evals.runner import Progress, Results, run
from mambino.evals.tasks import SUITES, load_task

AGENTS = ("zeroshot", "reflection", "planning", "reflection_planning")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """What to do besides asking: where answers come from or go to, and what is printed."""

    answers: Path | None
    compare: tuple[Path, Path] | None
    out: Path | None
    score_cut: bool
    as_json: bool


@click.command()
@click.argument("names", nargs=-1, metavar="[MODEL] SUITE...")
@click.option(
    "--answers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Score these answers; no model is needed.",
)
@click.option(
    "--compare",
    nargs=2,
    type=click.Path(exists=True, path_type=Path),
    metavar="RUN_A RUN_B",
    help="Compare two runs, sample by sample.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder with the suites' files.  [default: the Hugging Face hub]",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep transcripts and reports here.  [default: evals/MODEL]",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N samples (of each category).")
@click.option(
    "--length",
    type=click.IntRange(256),
    default=4096,
    show_default=True,
    metavar="N",
    help="Tokens of RULER's texts, about.",
)
@click.option(
    "--text",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="RULER hides its needles in this text.  [default: a built-in one]",
)
@click.option("--agent", type=click.Choice(AGENTS), default="zeroshot", show_default=True, help="Of the games.")
@click.option("--episodes", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="Of each game.")
@click.option("--endpoint", metavar="URL", help="Measure an OpenAI-compatible server instead, such as http://HOST/v1.")
@click.option("--api-model", metavar="NAME", help="The model's name at the endpoint.")
@click.option(
    "--api-key",
    metavar="VARIABLE",
    default="OPENAI_API_KEY",
    show_default=True,
    help="Environment variable that holds the endpoint's key.",
)
@click.option("--budget", type=click.IntRange(0), metavar="N", help="Think for at most N tokens; 0 is --no-think.")
@click.option("--score-cut", is_flag=True, help="Score answers that --max-tokens cut off, too.")
@model_options
@sampling_options
@thinking_option
@json_option
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    names: tuple[str, ...],
    answers: Path | None,
    compare: tuple[Path, Path] | None,
    data: Path | None,
    out: Path | None,
    limit: int | None,
    length: int,
    text: Path | None,
    agent: str,
    episodes: int,
    endpoint: str | None,
    api_model: str | None,
    api_key: str,
    budget: int | None,
    score_cut: bool,
    thinking: bool | None,
    as_json: bool,
) -> None:
    """Measure a model with standard suites, or score answers that are already there.

    Every transcript is kept, a stopped run goes on when the same command is given again, and what could not be scored
    is counted with its reason, never as wrong. Values come with 95 % bootstrap intervals. Suites:

    \b
    {suites}

    \b
    mambino eval ifeval gsm8k --data evals --limit 50        the bundled model
    mambino eval model.gguf ruler --length 8192              a file; a suite that needs no data
    mambino eval ifeval --endpoint http://127.0.0.1:8080/v1 --api-model m
    mambino eval ifeval --answers answers.jsonl --json       no model: verdicts of ready-made answers
    mambino eval --compare evals/a evals/b                   which run is better, and is that chance?

    Rows of --answers have the suite's id (or key) or prompt, and response. For ifeval and ifbench they may carry their
    own instruction_id_list and kwargs, for bfcl their own function and ground_truth; then no data is needed. A bfcl
    response is Python text such as [f(x=1)], or a list of calls.
    """
    options = EvalOptions(answers=answers, compare=compare, out=out, score_cut=score_cut, as_json=as_json)
    suite_options = SuiteOptions(
        folder=data, limit=limit, seed=0, length=length, text=text, agent=agent, episodes=episodes
    )
    logging.getLogger().addHandler(logging.NullHandler())  # langdetect's users print whole answers to standard error
    if compare is not None:
        _print_comparison(compare_runs(*compare), as_json)
        return
    model, suites = _model_and_suites(names)
    if answers is not None:
        _score(options, suite_options, suites, answers)
        return
    chosen = chosen_model(ctx)
    player = open_player(
        replace(chosen, model=model) if model else chosen,
        overrides(ctx),
        EndpointOptions(url=endpoint, model=api_model, api_key=os.environ.get(api_key)),
        thinking=thinking if budget is None else budget or False,
        scores_unfinished=score_cut,
    )
    folder = out or Path("evals") / player.folder_name
    results = []
    for suite in suites:
        task = load_task(suite, suite_options)
        with _progress(suite) as progress:
            results.append(
                run(
                    task,
                    player.player,
                    folder,
                    settings=player.settings | suite_options.generated(),
                    on_progress=progress,
                )
            )
        if not as_json:
            _print(results[-1])
    _finish(results, folder, as_json)


assert command.help is not None
command.help = command.help.replace("{suites}", "\n    ".join(f"{name:<12} {about}" for name, about in SUITES.items()))


def _model_and_suites(names: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The first name is a model unless it is a suite."""
    if not names:
        raise click.UsageError("name a suite; `mambino eval --help` lists them")
    is_suite = [name.partition(":")[0] in SUITES for name in names]
    model, suites = (None, names) if is_suite[0] else (names[0], names[1:])
    unknown = [
        name
        for name, known in zip(names[len(names) - len(suites) :], is_suite[len(names) - len(suites) :], strict=True)
        if not known
    ]
    if unknown:
        raise click.UsageError(f"there is no suite {unknown[0]!r}; there are {', '.join(SUITES)}")
    if not suites:
        raise click.UsageError(f"{names[0]!r} is no suite (there are {', '.join(SUITES)}); a model needs one after it")
    return model, suites


def _score(options: EvalOptions, suite_options: SuiteOptions, suites: Sequence[str], answers: Path) -> None:
    if len(suites) != 1:
        raise click.UsageError("--answers belongs to one suite")
    result = score_answers(task_for_answers(suites[0], suite_options, answers), answers)
    if options.as_json:
        print(json.dumps(results_json(result, verdicts=True), ensure_ascii=False, default=str))
    else:
        _print(result)
    if options.out is not None:
        _finish([result], options.out, False)


def _print(result: Results) -> None:
    print(f"{result.suite}  {len(result.records)} samples, scored by {result.version}")
    for name, metric in result.metrics.items():
        print(f"  {name:<24} {shown(name, metric)}")
    for reason, count in result.unscored.items():
        print(f"  unscored {count:>5}  {reason[:150]}")


def _finish(results: Sequence[Results], folder: Path, as_json: bool) -> None:
    markdown, page = write_report(folder, results)
    if as_json:
        print(json.dumps([results_json(result, verdicts=True) for result in results], ensure_ascii=False, default=str))
    note(f"kept in {folder}: transcripts, {markdown.name}, {page.name}")


def _print_comparison(compared: Sequence[Compared], as_json: bool) -> None:
    rows = [
        {
            "suite": row.suite,
            "metric": row.metric,
            "a": row.a,
            "b": row.b,
            "difference": row.difference.value,
            "low": row.difference.low,
            "high": row.difference.high,
            "p": row.difference.p,
            "samples": row.difference.samples,
        }
        for row in compared
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    print(f"A: {compared[0].a}\nB: {compared[0].b}\nB minus A, with 95 % intervals over the samples of both:")
    for row in compared:
        found = row.difference
        verdict = "better" if found.low > 0 else "worse" if found.high < 0 else "no clear difference"
        print(
            f"  {row.suite:<16} {row.metric:<20} {found.value:+.4f} ({found.low:+.4f} to {found.high:+.4f})  "
            f"p {found.p:.3f}  {found.samples} samples  {verdict}"
        )


@contextmanager
def _progress(suite: str) -> Iterator[Progress]:
    """A counter on a terminal, nothing elsewhere."""
    if not has_colour(sys.stderr):
        yield lambda done, total: None
        return

    def report(done: int, total: int) -> None:
        sys.stderr.write(f"\r{suite}: {done} of {total}")
        sys.stderr.flush()

    try:
        yield report
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
