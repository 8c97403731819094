"""Does a request's result depend on what else runs? The same prompt alone, among others, and from a snapshot.

Knows the lm contract and the batching, no text. Start at self_test.
"""

import threading
from collections.abc import Sequence

import numpy as np

from mambino.generation.generate import generate
from mambino.generation.params import SamplingParams
from mambino.lm import SequenceState
from mambino.server.worker import BatchingLM

_PROMPT_TOKENS = 96
_ANSWER_TOKENS = 24
_OTHERS = 3


def self_test(batching: BatchingLM) -> list[str]:
    """What differed, one sentence each; nothing if the greedy ids are the same every time."""
    prompts = _prompts(batching.config.vocab_size)
    expected = [_answer(batching, prompt) for prompt in prompts]
    faults = [
        f"prompt {index}: another answer among {_OTHERS} others than alone"
        for index, ids in enumerate(_together(batching, prompts))
        if ids != expected[index]
    ]
    if _from_snapshot(batching, prompts[0]) != expected[0]:
        faults.append("prompt 0: another answer from a snapshot than from the start")
    return faults


def _prompts(vocab_size: int) -> list[list[int]]:
    random = np.random.default_rng(0)
    return [random.integers(0, vocab_size, _PROMPT_TOKENS + 7 * index).tolist() for index in range(1 + _OTHERS)]


def _answer(batching: BatchingLM, prompt: Sequence[int], state: SequenceState | None = None) -> tuple[int, ...]:
    room = len(prompt) + _ANSWER_TOKENS + _PROMPT_TOKENS
    params = SamplingParams(temperature=0, max_tokens=_ANSWER_TOKENS)
    with batching.caller(), generate(batching, state or batching.new_state(room), prompt, params) as generation:
        return tuple(event.id for event in generation)


def _together(batching: BatchingLM, prompts: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    answers: list[tuple[int, ...]] = [()] * len(prompts)
    all_here = threading.Barrier(len(prompts))  # else the first may have answered before the last begins

    def run(index: int) -> None:
        all_here.wait()
        answers[index] = _answer(batching, prompts[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(prompts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _from_snapshot(batching: BatchingLM, prompt: Sequence[int]) -> tuple[int, ...]:
    half = len(prompt) // 2
    first = batching.new_state(half)
    batching.extend(first, np.array(prompt[:half], np.int32))
    state = batching.new_state(len(prompt) + _ANSWER_TOKENS)
    state.restore(first.snapshot())
    return _answer(batching, prompt[half:], state)
