"""BatchingLM: many threads, few passes, nobody's answer depends on a neighbour."""

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from fake_lm import FakeLM
from mambino.config import HybridConfig
from mambino.errors import ContextFull, InputError
from mambino.generation.generate import generate
from mambino.generation.params import SamplingParams
from mambino.lm import Float32Array, Int32Array, SequenceState
from mambino.server.worker import LARGEST_PIECE, SHORT_TOKENS, BatchingLM


class WatchedLM(FakeLM):
    """Notes the token counts of every pass; takes its time, so that others can join; may fail for one state."""

    def __init__(self, config: HybridConfig) -> None:
        super().__init__(config)
        self.passes: list[list[int]] = []
        self.bad: SequenceState | None = None
        self.pass_s = 0.004

    def extend_many(self, states: Sequence[SequenceState], tokens: Sequence[Int32Array]) -> Float32Array:
        time.sleep(self.pass_s)
        if any(state is self.bad for state in states):
            raise MemoryError("this one sequence")
        self.passes.append([len(one) for one in tokens])
        return super().extend_many(states, tokens)


def together(*work: Callable[[], None]) -> None:
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_answers_among_others_are_the_answers_alone(tiny_config: HybridConfig) -> None:
    model = WatchedLM(tiny_config)
    batching = BatchingLM(model)
    params = SamplingParams(temperature=0, max_tokens=12)
    prompts = [list(range(1, 5 + 9 * index)) for index in range(4)]
    alone = [[event.id for event in generate(model, model.new_state(99), one, params)] for one in prompts]
    model.passes.clear()
    found: list[list[int]] = [[], [], [], []]

    def answer(index: int) -> None:
        with batching.caller():
            events = generate(batching, batching.new_state(99), prompts[index], params)
            found[index] = [event.id for event in events]

    together(*(lambda index=index: answer(index) for index in range(4)))  # type: ignore[misc]
    batching.close()
    assert found == alone
    assert max(len(one) for one in model.passes) == 4
    assert len(model.passes) < 2 * len(alone[0])


def test_a_long_prompt_is_cut_while_others_answer_and_whole_alone(tiny_config: HybridConfig) -> None:
    model = WatchedLM(tiny_config)
    model.pass_s = 0.03  # the worker waits half a pass for who speaks: long enough on a busy machine, too
    batching = BatchingLM(model)
    prompt = np.ones(3 * LARGEST_PIECE, np.int32)
    batching.extend(batching.new_state(len(prompt)), prompt)
    assert model.passes == [[len(prompt)]]
    model.passes.clear()
    is_done = threading.Event()

    def read() -> None:
        with batching.caller():
            batching.extend(batching.new_state(len(prompt)), prompt)
        is_done.set()

    def speak() -> None:
        state = batching.new_state(500)
        with batching.caller():
            while not is_done.is_set():
                batching.extend(state, np.ones(1, np.int32))

    together(speak, read)
    batching.close()
    pieces = [count for one in model.passes for count in one if count > SHORT_TOKENS]
    assert sum(pieces) == len(prompt)
    assert max(pieces) <= LARGEST_PIECE
    assert sum(1 for one in model.passes if 1 in one and len(one) == 2) >= 2


def test_one_failing_sequence_leaves_the_others_alone(tiny_config: HybridConfig) -> None:
    model = WatchedLM(tiny_config)
    batching = BatchingLM(model)
    states = [batching.new_state(50) for _ in range(3)]
    model.bad = states[1]
    outcomes: list[str] = ["", "", ""]

    def extend(index: int) -> None:
        with batching.caller():
            try:
                batching.extend(states[index], np.ones(3, np.int32))
                outcomes[index] = "done"
            except MemoryError:
                outcomes[index] = "failed"

    together(*(lambda index=index: extend(index) for index in range(3)))  # type: ignore[misc]
    batching.close()
    assert outcomes == ["done", "failed", "done"]
    assert [state.position for state in states] == [3, 0, 3]


def test_bad_calls_raise_before_anything_changes(tiny_config: HybridConfig) -> None:
    batching = BatchingLM(FakeLM(tiny_config))
    small = batching.new_state(2)
    with pytest.raises(ContextFull):
        batching.extend(small, np.ones(3, np.int32))
    with pytest.raises(InputError):
        batching.extend(small, np.array([10**6], np.int32))
    with pytest.raises(InputError):
        batching.extend_many([small, small], [np.ones(1, np.int32)] * 2)
    assert small.position == 0
    batching.close()
    with pytest.raises(InputError):
        batching.extend(small, np.ones(1, np.int32))
