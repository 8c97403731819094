"""`mambino eval`: measure a model, score ready-made answers, compare two runs. Start at command."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from mambino.chat.request import Thinking
from mambino.cli.bench import peer_python
from mambino.cli.eval_options import chosen_endpoint, chosen_suite_options, endpoint_options, suite_options
from mambino.cli.eval_peer import peer_results, require_gguf
from mambino.cli.eval_player import OpenedPlayer, open_player
from mambino.cli.eval_view import counting, print_comparison, print_results
from mambino.cli.options import (
    ModelOptions,
    chosen_model,
    debug_option,
    json_option,
    model_options,
    overrides,
    sampling_options,
    thinking_option,
)
from mambino.cli.terminal import note
from mambino.evals.answers import score_answers, task_for_answers
from mambino.evals.comparison import compare_runs
from mambino.evals.data import SuiteOptions
from mambino.evals.report import results_json, write_report
from mambino.evals.runner import Results, run
from mambino.evals.tasks import SUITES, load_task
from mambino.hub.local import resolve

_RUN = click.Path(exists=True, path_type=Path)
_HELP = f"""Measure a model with standard suites, or score answers that are already there.

Every transcript is kept, a stopped run goes on when the same command is given again, and what could not be scored is
counted with its reason, never as wrong. Values come with 95 % bootstrap intervals. Suites:

\b
{chr(10).join(f"{name:<15} {about}" for name, about in SUITES.items())}

\b
mambino eval ifeval gsm8k --data evals --limit 50        the bundled model
mambino eval model.gguf ruler --length 8192              a file; a suite that needs no data
mambino eval ifeval --endpoint http://127.0.0.1:8080/v1 --api-model m
mambino eval ifeval --answers answers.jsonl --json       no model: verdicts of ready-made answers
mambino eval gsm8k --think-tokens 0 --think-tokens 512   what thinking is worth
mambino eval model.gguf efficiency --peer ~/llama/bin/python    memory and speed, llama.cpp beside them
mambino eval --compare evals/a evals/b                   which run is better, and is that chance?

Rows of --answers have the suite's id (or key) or prompt, and response. For ifeval and ifbench they may carry their own
instruction_id_list and kwargs, for bfcl their own function and ground_truth; then no data is needed. A bfcl response
is Python text such as [f(x=1)], or a list of calls; one for bfcl_multi_turn a list of turns of steps of calls.
"""


@click.command(help=_HELP)
@click.argument("names", nargs=-1, metavar="[MODEL] SUITE...")
@click.option(
    "--answers",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Score these answers; no model is needed.",
)
@click.option("--compare", nargs=2, type=_RUN, metavar="RUN_A RUN_B", help="Compare two runs, sample by sample.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep transcripts and reports here.  [default: evals/MODEL]",
)
@suite_options
@endpoint_options
@click.option(
    "--think-tokens",
    multiple=True,
    type=click.IntRange(0),
    metavar="N",
    help="Think for at most N tokens, 0 for none; repeat it for a curve.",
)
@click.option(
    "--peer",
    is_flag=False,
    flag_value="",
    metavar="[PYTHON]",
    help="llama.cpp beside efficiency: by this interpreter, or one that has llama-cpp-python.",
)
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
    out: Path | None,
    think_tokens: tuple[int, ...],
    peer: str | None,
    score_cut: bool,
    thinking: bool | None,
    as_json: bool,
) -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # langdetect's users print whole answers to standard error
    if compare is not None:
        print_comparison(compare_runs(*compare), as_json=as_json)
        return
    model, suites = _model_and_suites(names)
    if answers is not None:
        _score(chosen_suite_options(ctx), suites, answers, out, as_json)
        return
    chosen = replace(chosen_model(ctx), model=model) if model else chosen_model(ctx)
    python = _peer(peer, suites, chosen)
    opened = open_player(
        chosen,
        overrides(ctx),
        chosen_endpoint(ctx),
        thinking=thinking,
        scores_unfinished=score_cut,
    )
    folder = out or Path("evals") / opened.folder_name
    results: list[Results] = []
    for limit in think_tokens or (None,):
        for result in _measure(opened, limit, suites, chosen_suite_options(ctx), folder):
            beside = [peer_results(result, python, resolve(chosen.model), threads=_threads(chosen))] if python else []
            for one in (result, *beside):
                results.append(one)
                if not as_json:
                    print_results(one)
    _finish(results, folder, as_json=as_json)


def _model_and_suites(names: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The first name is a model unless it is a suite."""
    if not names:
        raise click.UsageError("name a suite; `mambino eval --help` lists them")
    model, suites = (None, names) if _is_suite(names[0]) else (names[0], names[1:])
    unknown = next((name for name in suites if not _is_suite(name)), None)
    if unknown is not None or not suites:
        what = (
            f"{names[0]!r} is no suite, and a model needs one after it" if unknown is None else f"no suite {unknown!r}"
        )
        raise click.UsageError(f"{what}; there are {', '.join(SUITES)}")
    return model, suites


def _peer(named: str | None, suites: Sequence[str], chosen: ModelOptions) -> str | None:
    """The interpreter of llama.cpp, if it is asked for. Raises UsageError beside other suites than efficiency."""
    if named is None:
        return None
    if list(suites) != ["efficiency"]:
        raise click.UsageError("--peer belongs to the suite efficiency, alone")
    require_gguf(resolve(chosen.model))
    return peer_python(named)


def _threads(chosen: ModelOptions) -> int:
    return chosen.threads or os.cpu_count() or 1


def _is_suite(name: str) -> bool:
    return name.partition(":")[0] in SUITES


def _measure(
    opened: OpenedPlayer, think_tokens: int | None, suites: Sequence[str], options: SuiteOptions, folder: Path
) -> Iterator[Results]:
    """Run the suites; with think_tokens in a folder of their own, under a name that says so."""
    player, settings = opened.player, opened.settings | options.generated()
    if think_tokens is not None:
        thinking: Thinking = think_tokens or False
        player, settings = replace(player, thinking=thinking), settings | {"thinking": thinking}
        folder = folder / f"think-{think_tokens}"
    for suite in suites:
        task = load_task(suite, options)
        with counting(suite) as progress:
            result = run(task, player, folder, settings=settings, on_progress=progress)
        label = result.model if think_tokens is None else f"{result.model}, at most {think_tokens} tokens of thought"
        yield replace(result, model=label)


def _score(options: SuiteOptions, suites: Sequence[str], answers: Path, out: Path | None, as_json: bool) -> None:
    if len(suites) != 1:
        raise click.UsageError("--answers belongs to one suite")
    result = score_answers(task_for_answers(suites[0], options, answers), answers)
    if as_json:
        print(json.dumps(results_json(result, verdicts=True), default=str))
    else:
        print_results(result)
    if out is not None:
        _finish([result], out, as_json=False)


def _finish(results: Sequence[Results], folder: Path, *, as_json: bool) -> None:
    markdown, page = write_report(folder, results)
    if as_json:
        print(json.dumps([results_json(result, verdicts=True) for result in results], default=str))
    transcripts = ["transcripts"] if any(folder.rglob("*.jsonl")) else []
    note(f"kept in {folder}: {', '.join([*transcripts, markdown.name, page.name])}")
