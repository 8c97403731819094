"""`mambino grpo`: teach a model by trying tasks that can be checked. Start at command."""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mambino.chat.prompt import PromptEncoder
from mambino.cli.options import debug_option, json_option
from mambino.cli.terminal import note
from mambino.cli.torch_extra import require_torch
from mambino.cli.tuning import model_options, open_module, write_tuned
from mambino.export.place import require_model_place
from mambino.formats.checkpoint import open_checkpoint
from mambino.hub.local import resolve
from mambino.load import tokenizer_of
from mambino.worlds.games import WORLDS

if TYPE_CHECKING:
    from mambino.posttrain.cluster import RolloutWorker
    from mambino.posttrain.grpo import GrpoSettings, Policy, Rollouts
    from mambino.posttrain.sources import TaskSource

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_WARM_UP_STEPS = 10


@click.command()
@click.argument("files", metavar="[TASKS]...", nargs=-1, type=_FILE)
@click.option("--verifier", type=_FILE, metavar="FILE.py", help="Your own judge of TASKS: verify(row, answer).")
@click.option(
    "--world",
    "worlds",
    multiple=True,
    type=click.Choice(("home", *WORLDS)),
    help="Learn in this world, too; may be repeated.",
)
@click.option(
    "--episodes", type=click.IntRange(1), default=64, show_default=True, metavar="N", help="Tasks of each world."
)
@model_options()
@click.option("--steps", type=click.IntRange(1), default=100, show_default=True)
@click.option("--learning-rate", type=float, default=3e-6, show_default=True, metavar="X")
@click.option("--prompts", type=click.IntRange(1), default=16, show_default=True, help="Tasks a step.")
@click.option("--group", type=click.IntRange(2), default=16, show_default=True, help="Tries of each task.")
@click.option("-n", "--max-tokens", type=click.IntRange(1), default=512, show_default=True, metavar="N")
@click.option(
    "--kl",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="X",
    help="Weight of staying near the model it began with; raise it from stage to stage.",
)
@click.option(
    "--share",
    "shares",
    multiple=True,
    metavar="NAME=X",
    help="Share of an environment in every step; may be repeated.  [default: alike]",
)
@click.option("--engine/--torch", "by_engine", default=True, show_default=True, help="What answers the tasks.")
@click.option(
    "--workers", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Ray workers that answer them."
)
@click.option("--ray", "address", metavar="ADDRESS", help="Of a Ray cluster.  [default: one on this machine]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@json_option
@debug_option
def command(
    files: tuple[Path, ...], verifier: Path | None, worlds: tuple[str, ...], episodes: int, model: str, out: Path,
    folder: Path | None, steps: int, learning_rate: float, prompts: int, group: int, max_tokens: int, kl: float,
    shares: tuple[str, ...], by_engine: bool, workers: int, address: str | None, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Teach MODEL by GRPO: it tries each task several times, a verifier judges, the better tries become likelier.

    TASKS are .jsonl files in NeMo-Gym's form. What a row's fields say decides its verifier: instruction_id_list
    (IFEval and IFBench), schema_str (structured output), expected_action (tool use), exp_cal_state (calendar), answer
    (short answers, where not knowing is better than being wrong). With --verifier rows are {"prompt": "..."} or
    {"messages": [...]} with whatever else verify(row, answer) looks at; it gives a number from 0 to 1, or None.

    \b
    mambino grpo instructions.jsonl -m tuned.gguf -o better.gguf --steps 100
    mambino grpo a.jsonl b.jsonl -o out.gguf --share instruction_following=0.7 --share calendar=0.3 --kl 0.02
    mambino grpo sums.jsonl --verifier sums.py -o out.gguf
    mambino grpo --world home --world puzzle -o out.gguf
    torchrun --nproc-per-node 4 -m mambino.cli grpo a.jsonl -o out.gguf
    mambino grpo a.jsonl -o out.gguf --workers 16 --ray auto

    Half of the tasks are tried with thinking on, half off, where the model has the switch; with worlds, all off. A
    model that never succeeds learns nothing: begin with `sft`. health.jsonl and health.png in the run's folder show how
    it goes. Ctrl-C is safe. Workers on other machines need the model and TASKS under the same path.
    """
    require_torch()
    from mambino.model.weights import weights_of
    from mambino.posttrain.grpo import GrpoSettings, grpo
    from mambino.posttrain.health import plot_health
    from mambino.posttrain.mixture import TaskMixture
    from mambino.posttrain.sources import TaskSource
    from mambino.train.optim import Optimizer, OptimSettings, WarmupStableDecay
    from mambino.train.ranks import Ranks

    if not files and not worlds:
        raise click.UsageError("name TASKS or a --world; `mambino grpo --help` shows what they are")
    ranks = Ranks.from_environment()
    if workers and ranks.size > 1:
        raise click.UsageError("--workers and torchrun: choose one")
    say = note if ranks.is_first else (lambda text: None)
    path = resolve(model)
    checkpoint = open_checkpoint(path)
    require_model_place(out)
    source = TaskSource(files=files, verifier=verifier, worlds=worlds, episodes=episodes)
    tasks = source.tasks()
    counts = Counter(task.environment for task in tasks)
    say(", ".join(f"{count} tasks of {name}" for name, count in counts.items()))
    prompt = PromptEncoder(tokenizer_of(checkpoint))
    module = open_module(checkpoint, "float32")
    thinking_share = 0.0 if worlds else 0.5
    settings = GrpoSettings(
        prompts=prompts, group_size=group, max_tokens=max_tokens, kl_weight=kl, seed=seed,
        thinking_share=thinking_share if "enable_thinking" in prompt.template.source else None,
    )  # fmt: skip
    optim = OptimSettings(learning_rate=learning_rate, weight_decay=0.0, betas=(0.9, 0.999), use_muon=False)
    warm_up = min(_WARM_UP_STEPS, steps)
    folder = folder or out.with_name(out.name + ".run")
    with _rollouts(
        _NewWorker(path=path, source=source, by_engine=by_engine, settings=settings), workers, address
    ) as far:
        grpo(
            module,
            Optimizer.for_model(module, optim),
            WarmupStableDecay(warmup_steps=warm_up, stable_steps=steps - warm_up, decay_steps=0),
            TaskMixture(tasks, _shares(shares, counts), total_steps=steps, seed=seed),
            prompt,
            _policy(by_engine),
            folder=folder,
            settings=settings,
            reference=copy.deepcopy(module).requires_grad_(False) if kl else None,
            rollouts=far,
            ranks=ranks,
            on_step=lambda health: note(_line(health, steps)),
        )
    if not ranks.is_first:
        return
    plot_health(folder / "health.jsonl", folder / "health.png")
    write_tuned(out, checkpoint, weights_of(module))
    note(f"written: {out}; how it went: {folder / 'health.png'}")
    if as_json:
        print(json.dumps({"out": str(out), "health": str(folder / "health.jsonl"), "settings": asdict(settings)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class _NewWorker:
    """Makes the model and the tasks again, in a Ray worker."""

    path: Path
    source: "TaskSource"
    by_engine: bool
    settings: "GrpoSettings"

    def __call__(self) -> "RolloutWorker":
        from mambino.posttrain.cluster import RolloutWorker

        checkpoint = open_checkpoint(self.path)
        return RolloutWorker(
            open_module(checkpoint, "float32"), _policy(self.by_engine), PromptEncoder(tokenizer_of(checkpoint)),
            self.source.tasks(), max_tokens=self.settings.max_tokens, slots=self.settings.slots,
        )  # fmt: skip


@contextmanager
def _rollouts(build: _NewWorker, workers: int, address: str | None) -> "Iterator[Rollouts | None]":
    """Ray workers while the run lasts; None without any."""
    if workers == 0:
        yield None
        return
    from mambino.posttrain.cluster import RayRollouts

    far = RayRollouts(build, workers=workers, address=address)
    try:
        yield far.refreshed
    finally:
        far.close()


def _policy(by_engine: bool) -> "Policy":
    from mambino.posttrain.policy import native_policy, torch_policy

    return native_policy() if by_engine else torch_policy


def _shares(given: tuple[str, ...], counts: Counter[str]) -> dict[str, float]:
    """Raises UsageError for a share that is no number, or of an environment that no task has."""
    if not given:
        return dict.fromkeys(counts, 1.0)
    shares: dict[str, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            shares[name] = float(number)
        except ValueError:
            raise click.UsageError(f"--share {text}: expected NAME=NUMBER") from None
        if name not in counts:
            raise click.UsageError(f"--share {text}: the tasks are of {', '.join(counts)}")
    return shares


def _line(health: dict[str, object], steps: int) -> str:
    apart = health.get("mismatch")
    shown = f", sampler {apart:.4f} apart" if isinstance(apart, float) else ""
    unscored = f", {health['unscored']} unscored" if health["unscored"] else ""
    return (
        f"step {health['step']}/{steps}  reward {health['reward']}  {health['groups']} groups  "
        f"{health['length']} tokens{shown}{unscored}"
    )
