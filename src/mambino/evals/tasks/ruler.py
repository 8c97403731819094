"""RULER: 13 tasks on generated texts of any length. Start at load; TASKS says what each one is.

After Hsieh et al. 2024, arXiv:2404.06654: its tasks and scoring with our own texts; questions over documents (qa) are
about made-up people, so that nothing can be remembered from training.
"""

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

from mambino.evals.data import SuiteOptions
from mambino.evals.haystack import WORDS_PER_TOKEN, Haystack
from mambino.evals.ruler_texts import common_words, documents, frequent_words, needles, variables
from mambino.evals.task import AnswerJson, Sample, Share, Task, Verdict, response_text, user
from mambino.evals.tasks import only_part
from mambino.scoring.answers import contains_all, contains_any

DEFAULT_SAMPLES = 20  # of each task


Maker = Callable[[Haystack, int], tuple[str, tuple[str, ...]]]
# niah: needles in noise, an essay, or among needles; vt: variables; cwe, fwe: counting words; qa: documents
TASKS: Mapping[str, Maker] = {
    "niah_single_1": partial(needles, background="noise"),
    "niah_single_2": partial(needles, background="essay"),
    "niah_single_3": partial(needles, background="essay", value="uuid"),
    "niah_multikey_1": partial(needles, background="essay", keys=4),
    "niah_multikey_2": partial(needles, background="needles"),
    "niah_multikey_3": partial(needles, background="needles", key="uuid", value="uuid"),
    "niah_multivalue": partial(needles, background="essay", values=4),
    "niah_multiquery": partial(needles, background="essay", keys=4, queries=4),
    "vt": variables,
    "cwe": common_words,
    "fwe": frequent_words,
    "qa_1": partial(documents, hops=1),
    "qa_2": partial(documents, hops=2),
}


def load(options: SuiteOptions, part: str) -> Task:
    count = DEFAULT_SAMPLES if options.limit is None else options.limit
    chosen = only_part("ruler", part, tuple(TASKS))
    samples = tuple(_sample(options, name, index) for name in chosen for index in range(count))
    return Task(
        name=f"ruler:{part}" if part else "ruler",
        samples=samples,
        score=score,
        metrics=("score", *(chosen if not part else ())),
        version=f"mambino's RULER, texts of about {options.length} tokens",
        is_generated=True,
    )


def _sample(options: SuiteOptions, name: str, index: int) -> Sample:
    haystack = Haystack(random.Random(f"{options.seed}-{name}-{index}"), options.text)
    prompt, expected = TASKS[name](haystack, int(options.length * WORDS_PER_TOKEN))
    return Sample(id=f"{name}-{index}", messages=user(prompt), data={"task": name, "expected": expected})


def score(sample: Sample, answer: AnswerJson) -> Verdict:
    """The share of expected strings that the response holds; of qa, whether it holds one."""
    name, expected = str(sample.data["task"]), cast(tuple[str, ...], sample.data["expected"])
    check = contains_any if name.startswith("qa") else contains_all
    scored = check(response_text(answer), expected)
    share = Share(part=scored.value or 0.0)
    return Verdict(shares={"score": share, name: share}, details={"evidence": scored.evidence})
