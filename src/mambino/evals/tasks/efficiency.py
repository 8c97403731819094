"""Efficiency: memory, first-token time and decode speed at a low and a high prompt length. Start at load.

Times are of this machine as it is now: measure when nothing else runs.
"""

import random
import sys
from typing import cast

from mambino.errors import InputError
from mambino.evals.data import SuiteOptions
from mambino.evals.haystack import WORDS_PER_TOKEN, Haystack
from mambino.evals.task import AnswerJson, Player, Sample, Share, Task, Verdict, user
from mambino.evals.tasks import only_part

LOW_LENGTH, ANSWER = 128, 128  # tokens of the short prompt, and of every answer
REPEATS = 3


def load(options: SuiteOptions, part: str) -> Task:
    only_part("efficiency", part, ())
    samples = []
    for level, length in (("low", LOW_LENGTH), ("high", options.length)):
        for index in range(REPEATS):
            haystack = Haystack(random.Random(f"{level}-{index}"), options.text)
            text = " ".join(haystack.essay(int(length * WORDS_PER_TOKEN)))
            sample = Sample(
                id=f"{level}-{index}", messages=user(f"{text}\n\nGo on with this text."), data={"level": level}
            )
            samples.append(sample)
    names = ("first_token_s", "decode_tokens_per_s", "prompt_tokens", "peak_mb")
    return Task(
        name="efficiency",
        samples=tuple(samples),
        score=score,
        metrics=tuple(f"{level}_{name}" for level in ("low", "high") for name in names),
        attempt=attempt,
        version=f"{REPEATS} repeats, answers of at most {ANSWER} tokens",
    )


def attempt(sample: Sample, player: Player) -> AnswerJson:
    reply = player.ask(sample.messages, max_tokens=ANSWER)
    return {
        "first_token_s": reply.first_token_s,
        "elapsed_s": reply.elapsed_s,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "peak_mb": None if player.ranker is None else _peak_mb(),  # an endpoint's memory is not this process's
    }


def _peak_mb() -> float | None:
    """Most memory that this process has held, in MB; None on systems without getrusage."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    """Means over the repeats; nothing is right or wrong here."""
    first, tokens = answer["first_token_s"], cast(int, answer["completion_tokens"])
    if first is None:
        raise InputError("[eval] an endpoint that does not stream has no first-token time")
    values = {"first_token_s": cast(float, first), "prompt_tokens": float(cast(int, answer["prompt_tokens"]))}
    decode_s = cast(float, answer["elapsed_s"]) - cast(float, first)
    if tokens > 1 and decode_s > 0:
        values["decode_tokens_per_s"] = (tokens - 1) / decode_s
    if answer["peak_mb"] is not None:
        values["peak_mb"] = cast(float, answer["peak_mb"])
    return Verdict(shares={f"{sample.data['level']}_{name}": Share(part=value) for name, value in values.items()})
