"""The games: whole episodes, played by an agent that asks the model. Start at load.

2048 is Orak's; the others are surrogates: their scores must not be compared with Orak's.
"""

from collections.abc import Mapping
from typing import cast

from mambino.errors import ContextFull
from mambino.evals.agents import new_agent
from mambino.evals.data import SuiteOptions
from mambino.evals.task import AnswerJson, Player, Sample, Share, Task, Verdict
from mambino.evals.tasks import only_part
from mambino.worlds.games import WORLDS, new_world

MAX_STEPS = 200  # of an episode, where the game itself allows more


def load(options: SuiteOptions, part: str) -> Task:
    """limit bounds the steps of an episode; options.episodes says how many of each game."""
    chosen = only_part("games", part, tuple(WORLDS))
    steps = options.limit or MAX_STEPS
    data = {"agent": options.agent, "strict": options.strict, "steps": steps}
    samples = tuple(
        Sample(id=f"{name}-{seed}", data={"game": name, "seed": options.seed + seed, **data})
        for name in chosen
        for seed in range(options.episodes)
    )
    return Task(
        name=f"games:{part}" if part else "games",
        samples=samples,
        score=score,
        metrics=("score", *chosen, "legal_actions"),
        attempt=attempt,
        version=f"mambino's worlds, {options.agent} agent, at most {steps} steps",
    )


def attempt(sample: Sample, player: Player) -> AnswerJson:
    """One episode. A prompt that no longer fits ends it; its score stands."""
    world = new_world(str(sample.data["game"]))
    agent = new_agent(str(sample.data["agent"]), world, player, strict=bool(sample.data["strict"]))
    seen = world.reset(cast(int, sample.data["seed"]))
    steps: list[Mapping[str, object]] = []
    while not seen.is_done and len(steps) < cast(int, sample.data["steps"]):
        try:
            action, replies = agent.choose(seen)
        except ContextFull:
            break
        seen = world.step(action)
        thoughts = [reply.message.content for reply in replies]
        steps.append({"replies": thoughts, "action": action, "note": seen.note, "is_legal": seen.is_legal})
    return {"score": seen.score, "steps": steps, "last_state": seen.text}


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    share = Share(part=cast(float, answer["score"]) / 100.0)
    steps = cast(list[Mapping[str, object]], answer["steps"])
    legal = Share(part=float(sum(bool(step["is_legal"]) for step in steps)), whole=float(len(steps)))
    shares = {"score": share, str(sample.data["game"]): share} | ({"legal_actions": legal} if steps else {})
    return Verdict(shares=shares, details={"evidence": f"{len(steps)} steps"})
