"""Tools over several turns in the simulated home: what a person asks one thing after another, judged by the home.

After every turn the home must be as it then should be: all done, nothing else touched. One turn refers to the last,
one asks for what the house does not have. Start at load.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from mambino.chat.builtin_tools.home import SimulatedHome, home_tools
from mambino.chat.messages import Message
from mambino.chat.toolbox import ToolBox
from mambino.errors import Unsupported
from mambino.evals.data import SuiteOptions
from mambino.evals.task import AnswerJson, Player, Sample, Share, Task, Verdict
from mambino.evals.tasks import only_part
from mambino.worlds.home import ROOMS, Home, Timer, new_goal, new_home

EPISODES = 20
MAX_ROUNDS = 8  # of calls and results in one turn
_SYSTEM = "You look after a house. Use the tools to read and change it. Change nothing that you were not asked to."


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is said, of which kind it is, and the home after it."""

    text: str
    kind: str
    home: Home


def load(options: SuiteOptions, part: str) -> Task:
    only_part("home", part, ())
    count = EPISODES if options.limit is None else options.limit
    return Task(
        name="home",
        samples=tuple(Sample(id=str(seed), data={"seed": options.seed + seed}) for seed in range(count)),
        score=score,
        metrics=("turns", "conversations", "goal", "again", "impossible", "calls_without_error"),
        attempt=attempt,
        version="mambino's home simulator",
    )


def turns_of(seed: int) -> list[Turn]:
    """A goal, the same again for another room, something that is not there, and another goal."""
    rng, home = random.Random(f"home {seed}"), new_home(seed)
    turns = []
    for kind in ("goal", "again", "impossible", "goal"):
        if kind == "goal":
            goal = new_goal(home, rng.randrange(1 << 30))
            text, home = goal.text, goal.met_in(_without(home, goal.timer))
        elif kind == "again":
            first, second = rng.sample(list(home.lights), 2)
            level = rng.choice(
                [one for one in (10, 40, 60, 90) if one not in (home.lights[first], home.lights[second])]
            )
            home = replace(home, lights=home.lights | {first: level})
            turns.append(Turn(text=f"Set the {first} light to {level}.", kind="goal", home=home))
            text, home = f"And now the same in the {second}.", replace(home, lights=home.lights | {second: level})
        else:
            missing = rng.choice([room for room in (*ROOMS, "cellar", "attic") if room not in home.lights])
            text = f"Turn off the light in the {missing}, please."
        turns.append(Turn(text=text, kind=kind, home=home))
    return turns


def _without(home: Home, timer: Timer | None) -> Home:
    """A new timer takes the place of one with its label."""
    return replace(home, timers=tuple(one for one in home.timers if timer is None or one.label != timer.label))


def attempt(sample: Sample, player: Player) -> AnswerJson:
    """One conversation; the homes after its turns. A turn of more than MAX_ROUNDS rounds ends where it is.

    Raises     Unsupported for a model that cannot be given tools
    """
    if not player.responder.knows_tools:
        raise Unsupported("[eval] home gives tools, and this model's chat template has no place for them")
    seed = cast(int, sample.data["seed"])
    simulated = SimulatedHome(new_home(seed))
    messages = [Message(role="system", content=_SYSTEM)]
    homes: list[Mapping[str, object]] = []
    failed = calls = 0
    for turn in turns_of(seed):
        messages.append(Message(role="user", content=turn.text))
        tools = ToolBox(home_tools(simulated))
        for _ in range(MAX_ROUNDS):
            reply = player.ask(messages, tools=tools.schemas)
            messages.append(reply.message)
            if not reply.message.tool_calls:
                break
            results = tools.call_all(reply.message.tool_calls)
            failed, calls = failed + sum(result.is_error for result in results), calls + len(results)
            messages += [
                Message(role="tool", content=result.text, tool_call_id=call.id)
                for call, result in zip(reply.message.tool_calls, results, strict=True)
            ]
        homes.append(_settings(simulated.home))
    return {
        "homes": homes, "calls": calls, "failed_calls": failed,
        "messages": [message.to_json() for message in messages],
    }  # fmt: skip


def _settings(home: Home) -> dict[str, object]:
    """What tools set; not the clock, nor what it warms."""
    timers = sorted((timer.label, timer.ends_at) for timer in home.timers)
    return {
        "lights": home.lights,
        "locked": home.locked,
        "target": home.target,
        "timers": [list(one) for one in timers],
    }


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    turns = turns_of(cast(int, sample.data["seed"]))
    homes = cast(Sequence[Mapping[str, object]], answer["homes"])
    right = [home == _settings(turn.home) for home, turn in zip(homes, turns, strict=True)]
    shares = {
        "turns": Share(part=sum(right), whole=len(right)),
        "conversations": Share(part=float(all(right))),
    }
    for kind in ("goal", "again", "impossible"):
        of_kind = [is_right for is_right, turn in zip(right, turns, strict=True) if turn.kind == kind]
        shares[kind] = Share(part=sum(of_kind), whole=len(of_kind))
    if calls := cast(int, answer["calls"]):
        shares["calls_without_error"] = Share(part=calls - cast(int, answer["failed_calls"]), whole=calls)
    wrong = [turn.text for is_right, turn in zip(right, turns, strict=True) if not is_right]
    return Verdict(shares=shares, details={"evidence": f"not as asked: {wrong}" if wrong else ""})
