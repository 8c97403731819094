"""Speculation never changes a text, never costs much, and pays where a text repeats itself."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from fake_lm import FakeLM
from mambino.generation.generate import Generation, generate
from mambino.generation.lookup import PromptLookup
from mambino.generation.params import SamplingParams
from mambino.generation.speculate import Speculation
from mambino.lm import Float32Array, Int32Array, SequenceState
from tiny_models import tiny_hybrid_config

CONFIG = tiny_hybrid_config()
PASSAGE = tuple(int(token) for token in np.random.default_rng(7).integers(3, 101, 60))


def copying(skill: float) -> Callable[[tuple[int, ...], int], Float32Array]:
    """Logits of a model that copies PASSAGE round and round, and errs deterministically with frequency 1 - skill."""

    def logits_after(absorbed: tuple[int, ...], vocab_size: int) -> Float32Array:
        random = np.random.default_rng([len(absorbed), absorbed[-1]])
        logits = random.normal(0.0, 1.0, vocab_size).astype(np.float32)
        if random.random() < skill:
            follows = (
                PASSAGE[(PASSAGE.index(absorbed[-1]) + 1) % len(PASSAGE)] if absorbed[-1] in PASSAGE else PASSAGE[0]
            )
            logits[follows] += 9.0
        return logits

    return logits_after


class TimedLM(FakeLM):
    """A FakeLM on a clock of its own: a pass over n rows takes 1 + row_cost * (n - 1), accepting 0.05."""

    def __init__(self, skill: float, row_cost: float) -> None:
        super().__init__(CONFIG, copying(skill))
        self.row_cost = row_cost
        self.now = 0.0

    def extend(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        self.now += 1.0 + self.row_cost * (len(tokens) - 1)
        return super().extend(state, tokens)

    def verify(self, state: SequenceState, tokens: Int32Array) -> Float32Array:
        self.now += 1.0 + self.row_cost * (len(tokens) - 1)
        return super().verify(state, tokens)

    def accept(self, state: SequenceState, count: int) -> None:
        self.now += 0.05
        super().accept(state, count)


def completion(
    lm: TimedLM, params: SamplingParams, speculation: Speculation | None, *, room: int = 1000
) -> tuple[tuple[int, ...], SequenceState]:
    state = lm.new_state(room)
    running = generate(lm, state, PASSAGE, params, speculation=speculation)
    for _ in running:
        pass
    return running.completion, state


def greedy(count: int) -> SamplingParams:
    return SamplingParams(temperature=0.0, max_tokens=count)


# --- the same text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skill", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_the_text_is_that_of_plain_decoding(skill: float, temperature: float) -> None:
    params = SamplingParams(
        temperature=temperature, top_p=0.95, repetition_penalty=1.05, seed=5, max_tokens=200, logprobs=2
    )
    plain, fast = TimedLM(skill, 0.1), TimedLM(skill, 0.1)
    speculation = Speculation(lambda: fast.now)
    events = list(generate(plain, plain.new_state(1000), PASSAGE, params))
    assert list(generate(fast, fast.new_state(1000), PASSAGE, params, speculation=speculation)) == events
    assert speculation.drafted > 0 or skill == 0.0


def test_the_text_under_a_constraint_is_that_of_plain_decoding() -> None:
    class OddThenForced:
        """Only odd ids; after every tenth, two ids are forced."""

        def __init__(self) -> None:
            self.count = 0
            self.queue: list[int] = []

        def forced(self) -> Sequence[int]:
            return tuple(self.queue)

        def mask(self) -> NDArray[np.bool_]:
            return np.arange(CONFIG.vocab_size) % 2 == 1

        def bias(self) -> Mapping[int, float]:
            return {}

        def advance(self, token: int) -> None:
            self.count += 1
            if self.queue:
                self.queue.pop(0)
            elif self.count % 10 == 0:
                self.queue = [PASSAGE[0], PASSAGE[1]]

    plain, fast = TimedLM(0.9, 0.1), TimedLM(0.9, 0.1)
    speculation = Speculation(lambda: fast.now)
    expected = list(generate(plain, plain.new_state(999), PASSAGE, greedy(150), constraint=OddThenForced()))
    got = generate(fast, fast.new_state(999), PASSAGE, greedy(150), constraint=OddThenForced(), speculation=speculation)
    assert list(got) == expected


@pytest.mark.parametrize("room", [61, 62, 70, 90, 133])
def test_a_context_that_fills_up_ends_the_text_at_the_same_token(room: int) -> None:
    plain, fast = TimedLM(1.0, 0.1), TimedLM(1.0, 0.1)
    expected, _ = completion(plain, greedy(500), None, room=room)
    got, state = completion(fast, greedy(500), Speculation(lambda: fast.now), room=room)
    assert got == expected
    assert state.position <= room


# --- the state afterwards --------------------------------------------------------------------------------------------


def running_and_state(count: int) -> tuple[Generation, SequenceState, TimedLM]:
    lm = TimedLM(0.95, 0.1)
    state = lm.new_state(1000)
    return generate(lm, state, PASSAGE, greedy(count), speculation=Speculation(lambda: lm.now)), state, lm


@pytest.mark.parametrize("taken", [0, 1, 2, 37, 61, 62, 63, 64, 65, 66, 67, 80])
def test_closing_early_leaves_all_but_the_last_token_absorbed(taken: int) -> None:
    running, state, lm = running_and_state(200)
    for _ in range(taken):
        next(running)
    running.close()
    running.close()
    text = (*PASSAGE, *running.completion)
    assert len(running.completion) == taken
    assert state.position == (0 if taken == 0 else len(text) - 1)
    assert running.absorbed == text[: state.position]
    plain = lm.new_state(1000)
    if taken:
        lm.extend(plain, np.array(text[:-1], np.int32))
        step = np.array([1], np.int32)
        assert np.array_equal(lm.extend(state, step), lm.extend(plain, step))


def test_running_to_the_end_leaves_all_but_the_last_token_absorbed() -> None:
    running, state, _ = running_and_state(99)
    assert len(list(running)) == 99
    assert state.position == len(PASSAGE) + 98


# --- the time --------------------------------------------------------------------------------------------------------


def speedup(skill: float, row_cost: float, count: int = 300) -> float:
    plain, fast = TimedLM(skill, row_cost), TimedLM(skill, row_cost)
    completion(plain, greedy(count), None)
    completion(fast, greedy(count), Speculation(lambda: fast.now))
    return plain.now / fast.now


def test_copying_is_several_times_as_fast() -> None:
    assert speedup(1.0, 0.1) > 3.0


@pytest.mark.parametrize("skill", [0.0, 0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("row_cost", [0.05, 0.3, 0.7, 1.0, 1.5])
def test_no_text_is_slower_than_0_97_of_plain_decoding(skill: float, row_cost: float) -> None:
    assert speedup(skill, row_cost) >= 0.97


def test_rows_as_dear_as_steps_are_soon_left_alone() -> None:
    lm = TimedLM(0.9, 1.2)
    speculation = Speculation(lambda: lm.now)
    completion(lm, greedy(300), speculation)
    assert len(lm.verified) < 10


# --- lookup ----------------------------------------------------------------------------------------------------------


def test_a_draft_is_what_followed_the_latest_longest_match() -> None:
    lookup = PromptLookup()
    lookup.follow([1, 2, 3, 4, 5, 9, 2, 3, 4, 7, 7, 8, 2, 3, 4])
    assert lookup.draft(3).tokens == (7, 7, 8)
    assert lookup.draft(3).match == 3
    lookup.follow([1, 2, 3, 4, 5, 9, 2, 3, 4, 7, 7, 8, 2, 3, 4, 5, 9, 1, 2, 3, 4, 5])
    assert (lookup.draft(2).tokens, lookup.draft(2).match) == ((9, 2), 5)


def test_a_repetition_is_drafted_to_go_on() -> None:
    lookup = PromptLookup()
    lookup.follow([5, 1, 2, 1, 2, 1, 2])
    assert lookup.draft(5).tokens == (1, 2, 1, 2, 1)


def test_nothing_is_drafted_from_a_new_text() -> None:
    lookup = PromptLookup()
    lookup.follow(range(50))
    assert lookup.draft(4).tokens == ()
    assert lookup.draft(0).tokens == ()


def test_another_text_replaces_the_one_before() -> None:
    lookup = PromptLookup()
    lookup.follow([1, 2, 3, 4, 1, 2, 3])
    lookup.follow([9, 2, 3, 5, 6, 1, 2, 3])
    assert lookup.draft(2).tokens == ()


def test_what_was_taken_back_is_never_drafted_and_does_not_pile_up() -> None:
    random = np.random.default_rng(0)
    lookup = PromptLookup()
    text: list[int] = []
    for _ in range(300):
        text = text[: int(random.integers(len(text) // 2, len(text) + 1))] + random.integers(0, 3, 12).tolist()
        lookup.follow(text)
        draft = lookup.draft(4)
        if draft.match:
            runs = [text[at : at + draft.match] for at in range(len(text) - draft.match)]
            place = max(at for at, run in enumerate(runs) if run == text[-draft.match :]) + draft.match
            assert list(draft.tokens)[: len(text) - place] == text[place : place + 4]
        assert all(len(after) <= 2 * len(text) + 20 for after in lookup._after.values())


@pytest.mark.native
def test_the_engine_writes_the_same_text_with_speculation() -> None:
    pytest.importorskip("mambino.engine.native", reason="needs the compiled engine")
    from mambino.load import open_model

    lm = open_model(threads=2)
    prompt = 6 * [int(token) for token in np.random.default_rng(1).integers(3, lm.config.vocab_size, 20)]
    for temperature in (0.0, 0.7):
        params = SamplingParams(temperature=temperature, seed=3, max_tokens=60)
        speculation = Speculation()
        plain = list(generate(lm, lm.new_state(400), prompt, params))
        assert list(generate(lm, lm.new_state(400), prompt, params, speculation=speculation)) == plain
