"""`mambino play`: a game for a person at the terminal, or a model to watch. Start at command."""

import random
import sys
from collections.abc import Callable

import click

from mambino.cli.eval_options import AGENTS, EndpointOptions
from mambino.cli.eval_player import open_player
from mambino.cli.options import chosen_model, debug_option, model_options, overrides, sampling_options, thinking_option
from mambino.cli.play_mcp import serve_game
from mambino.cli.terminal import note, paint, write
from mambino.evals.agents import new_agent
from mambino.worlds.games import ABOUT, WORLDS, new_world
from mambino.worlds.world import Observation, World, random_action

Chooser = Callable[[Observation], str | None]  # None: the player has had enough
_QUIT = ("quit", "exit", "q")
_SHORT = {"w": "up", "s": "down", "a": "left", "d": "right"}
_MOST_SHOWN = 12


@click.command()
@click.argument("game", required=False, type=click.Choice(tuple(WORLDS)))
@click.option("--watch", is_flag=True, help="Let the model of -m play.")
@click.option("--expert", is_flag=True, help="Watch a program that knows the whole world play.")
@click.option("--random", "at_random", is_flag=True, help="Watch chance play.")
@click.option("--mcp", "as_server", is_flag=True, help="Serve the game over MCP on standard input and output.")
@click.option("--agent", type=click.Choice(AGENTS), default="zeroshot", show_default=True, help="How --watch thinks.")
@click.option("--strict-actions", is_flag=True, help="Hold --watch to the grammar of actions.")
@click.option("--game-seed", type=click.IntRange(0), metavar="N", help="The same number is the same game.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Stop after N actions.")
@model_options
@sampling_options
@thinking_option
@debug_option
@click.pass_context
def command(
    ctx: click.Context,
    game: str | None,
    watch: bool,
    expert: bool,
    at_random: bool,
    as_server: bool,
    agent: str,
    strict_actions: bool,
    game_seed: int | None,
    steps: int | None,
    thinking: bool | None,
) -> None:
    """Play a small game, or watch a model play it.

    \b
    mambino play                       which games there are
    mambino play game2048              you play: up, down, left, right, or w, s, a, d; quit ends it
    mambino play runner --watch        the bundled model plays
    mambino play farm --watch -m model.gguf --agent reflection
    mambino play puzzle --expert       how it is done
    mambino play farm --mcp            for an agent that speaks MCP

    Type an action, or the number beside it. Games other than 2048 are surrogates: their scores compare with nothing
    else.
    """
    if game is None:
        for name, about in ABOUT.items():
            print(f"{name:<10} {about}")
        return
    if watch + expert + at_random + as_server > 1:
        raise click.UsageError("--watch, --expert, --random and --mcp exclude each other")
    world = new_world(game)
    seed = random.SystemRandom().randrange(10_000) if game_seed is None else game_seed
    if as_server:
        serve_game(game, world, seed)
        return
    if expert:
        choose: Chooser = lambda seen: world.expert_action()  # noqa: E731
    elif at_random:
        rng = random.Random(seed)
        choose = lambda seen: random_action(seen, rng)  # noqa: E731
    elif watch:
        choose = _model(ctx, world, agent, strict_actions, thinking)
    else:
        choose = _ask
    note(f"{world.rules}\n--game-seed {seed}\n")
    _play(world, seed, choose, steps, is_watched=choose is not _ask)


def _model(ctx: click.Context, world: World, agent: str, strict: bool, thinking: bool | None) -> Chooser:
    opened = open_player(
        chosen_model(ctx),
        overrides(ctx),
        EndpointOptions(),
        thinking=thinking,
        scores_unfinished=True,
    )
    playing = new_agent(agent, world, opened.player, strict=strict)
    return lambda seen: playing.choose(seen)[0]


def _play(world: World, seed: int, choose: Chooser, steps: int | None, *, is_watched: bool) -> None:
    seen = world.reset(seed)
    count = 0
    while True:
        _show(seen, with_actions=not is_watched)
        if seen.is_done or (steps is not None and count >= steps):
            break
        action = choose(seen)
        if action is None:
            break
        if is_watched:
            write(f"> {action}\n", sys.stdout, "bold")
        seen = world.step(action)
        count += 1
    print(f"Score {seen.score:.1f} of 100 after {count} actions.")


def _show(seen: Observation, *, with_actions: bool) -> None:
    if seen.note:
        print(paint(f"  {seen.note}", "green" if seen.is_legal else "yellow", sys.stdout))
    print(f"\n{seen.text}")
    if with_actions and not seen.is_done:
        shown = "   ".join(f"{index} {action}" for index, action in enumerate(seen.actions[:_MOST_SHOWN], 1))
        print(paint(shown, "dim", sys.stdout))


def _ask(seen: Observation) -> str | None:
    typed = ""
    while not typed:  # an empty line is no action
        try:
            typed = input("> ").strip()
        except EOFError:
            return None
    if typed.lower() in _QUIT:
        return None
    if typed.isdecimal() and 1 <= int(typed) <= len(seen.actions):
        return seen.actions[int(typed) - 1]
    return _SHORT.get(typed.lower(), typed) if set(seen.actions) & set(_SHORT.values()) else typed
