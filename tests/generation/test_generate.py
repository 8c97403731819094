import codecs
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fake_lm import FakeLM, FakeState, scripted_logits
from mambino.config import HybridConfig
from mambino.errors import ContextFull, InputError
from mambino.generation.generate import Generation, TokenEvent, generate
from mambino.generation.params import SamplingParams
from mambino.generation.sampling import logprobs
from mambino.lm import Float32Array, Int32Array, SequenceState

PROMPT = (5, 6, 7)
GREEDY = SamplingParams(temperature=0)


Run = tuple[list[TokenEvent], Generation, FakeState]


class Letters:
    """A decoder: ids 0 to 44 are letters from A on, the others bytes from 0xC3 on, which begin longer characters."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id: int, /) -> str:
        return self._utf8.decode(bytes([token_id + 150 if token_id >= 45 else token_id + 65]))

    def finish(self) -> str:
        return self._utf8.decode(b"", final=True)


def run(model: FakeLM, params: SamplingParams, room: int = 100, **options: Any) -> Run:
    state = model.new_state(room)
    generation = generate(model, state, PROMPT, params, **options)
    return list(generation), generation, state


def ids(events: Sequence[TokenEvent]) -> list[int]:
    return [event.id for event in events]


def text(events: Sequence[TokenEvent]) -> str:
    return "".join(event.text for event in events)


@pytest.fixture
def noise_lm(tiny_config: HybridConfig) -> FakeLM:
    return FakeLM(tiny_config)


def scripted(config: HybridConfig, *reply: int) -> FakeLM:
    return FakeLM(config, scripted_logits(reply, len(PROMPT)))


def test_greedy_tokens_are_the_argmax_of_score(noise_lm: FakeLM) -> None:
    events, generation, state = run(noise_lm, SamplingParams(temperature=0, max_tokens=9))
    sequence = np.array([*PROMPT, *ids(events)], dtype=np.int32)
    best = noise_lm.score(sequence).argmax(axis=1)
    assert ids(events) == best[len(PROMPT) - 1 : -1].tolist()
    assert generation.completion == tuple(ids(events))
    assert state.position == len(PROMPT) + 8


def test_a_seed_repeats_exactly_and_another_differs(noise_lm: FakeLM) -> None:
    first, again, other = (run(noise_lm, SamplingParams(seed=seed, max_tokens=20))[0] for seed in (1, 1, 2))
    assert first == again
    assert ids(first) != ids(other)


CHANGES: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 3.0},
    "top_k": {"top_k": 2},
    "top_p": {"top_p": 0.2},
    "min_p": {"min_p": 0.9},
    "repetition_penalty": {"repetition_penalty": 3.0},
    "presence_penalty": {"presence_penalty": 5.0},
    "frequency_penalty": {"frequency_penalty": 5.0},
    "logit_bias": {"logit_bias": {50: 30.0}},
    "seed": {"seed": 43},
    "stop": {"stop": ("A", "B", "C", "D", "E", "F")},
    "stop_token_ids": {"stop_token_ids": tuple(range(0, 101, 3))},
    "max_tokens": {"max_tokens": 17},
    "logprobs": {"logprobs": 2},
}


@pytest.mark.parametrize("name", [field.name for field in fields(SamplingParams)])
def test_every_parameter_changes_the_events(name: str, noise_lm: FakeLM) -> None:
    base: dict[str, Any] = {"seed": 42, "max_tokens": 60}
    plain = run(noise_lm, SamplingParams(**base), decoder=Letters())[0]
    changed = run(noise_lm, SamplingParams(**(base | CHANGES[name])), decoder=Letters())[0]
    assert plain != changed


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 512])
def test_the_prompt_goes_in_chunks_that_change_nothing_and_are_reported(noise_lm: FakeLM, chunk: int) -> None:
    progress: list[tuple[int, int]] = []
    params = SamplingParams(seed=3, max_tokens=6)
    expected = run(noise_lm, params)[0]
    noise_lm.calls.clear()
    events, _, _ = run(noise_lm, params, prefill_chunk=chunk, on_prompt_progress=lambda *at: progress.append(at))
    assert events == expected
    edges = [*range(0, len(PROMPT), chunk), len(PROMPT)]
    assert progress == [(edge, len(PROMPT)) for edge in edges]
    assert noise_lm.calls == [*np.diff(edges).tolist(), 1, 1, 1, 1, 1]


def test_max_tokens_ends_with_length(noise_lm: FakeLM) -> None:
    events, generation, _ = run(noise_lm, SamplingParams(seed=0, max_tokens=1))
    assert [event.finish_reason for event in events] == ["length"]
    assert generation.finish_reason == "length"


def test_a_full_context_ends_with_context(noise_lm: FakeLM) -> None:
    events, generation, state = run(noise_lm, SamplingParams(seed=0), room=10)
    assert [event.finish_reason for event in events] == [None] * 7 + ["context"]
    assert state.position == 10
    assert generation.absorbed == (*PROMPT, *ids(events)[:-1])


def test_a_prompt_that_just_fits_gives_one_token(noise_lm: FakeLM) -> None:
    events, _, state = run(noise_lm, SamplingParams(seed=0), room=3)
    assert [event.finish_reason for event in events] == ["context"]
    assert state.position == 3


def test_a_prompt_longer_than_the_context_is_refused_before_anything(noise_lm: FakeLM) -> None:
    state = noise_lm.new_state(2)
    with pytest.raises(ContextFull):
        generate(noise_lm, state, PROMPT, GREEDY)
    assert state.position == 0
    assert noise_lm.calls == []


@pytest.mark.parametrize("prompt", [(), (5, 101), (-1,)])
def test_a_bad_prompt_is_refused_before_anything(noise_lm: FakeLM, prompt: tuple[int, ...]) -> None:
    state = noise_lm.new_state(20)
    with pytest.raises(InputError):
        generate(noise_lm, state, prompt, GREEDY)
    assert noise_lm.calls == []


def test_history_outside_the_vocabulary_is_refused(noise_lm: FakeLM) -> None:
    with pytest.raises(InputError, match="id 101"):
        generate(noise_lm, noise_lm.new_state(20), PROMPT, GREEDY, history=[3, 101])


def test_stop_strings_without_a_decoder_are_refused(noise_lm: FakeLM) -> None:
    with pytest.raises(InputError, match="decoder"):
        generate(noise_lm, noise_lm.new_state(20), PROMPT, SamplingParams(stop=("a",)))


def test_a_stop_id_ends_the_completion_and_shows_no_text(tiny_config: HybridConfig) -> None:
    model = scripted(tiny_config, 7, 8, 2, 9)
    params = SamplingParams(temperature=0, stop_token_ids=(2, 11))
    events, generation, state = run(model, params, decoder=Letters())
    assert ids(events) == [7, 8, 2]
    assert text(events) == "HI"
    assert (events[-1].finish_reason, events[-1].stop) == ("stop", 2)
    assert generation.absorbed == (*PROMPT, 7, 8)
    assert state.position == 5


def test_a_stop_string_across_tokens_is_cut_off(tiny_config: HybridConfig) -> None:
    model = scripted(tiny_config, 0, 1, 2, 1, 2, 3, 4)  # ABCBCDE
    events, generation, _ = run(model, SamplingParams(temperature=0, stop=("BCD",)), decoder=Letters())
    assert text(events) == "ABC"
    assert [event.text for event in events] == ["A", "", "", "BC", "", ""]
    assert (events[-1].finish_reason, events[-1].stop) == ("stop", "BCD")
    assert generation.completion == (0, 1, 2, 1, 2, 3)


def test_held_text_is_shown_when_the_completion_ends_otherwise(tiny_config: HybridConfig) -> None:
    model = scripted(tiny_config, 0, 1, 2, 30)
    params = SamplingParams(temperature=0, stop=("BCD",), max_tokens=3)
    events, _, _ = run(model, params, decoder=Letters())
    assert [event.text for event in events] == ["A", "", "BC"]
    stopped = SamplingParams(temperature=0, stop=("BCD",), stop_token_ids=(30,))
    events, _, _ = run(model, stopped, decoder=Letters())
    assert [event.text for event in events] == ["A", "", "", "BC"]


def test_half_a_character_is_never_shown_and_replaced_at_the_end(tiny_config: HybridConfig) -> None:
    model = scripted(tiny_config, 0, 45, 1)
    events, _, _ = run(model, SamplingParams(temperature=0, max_tokens=2), decoder=Letters())
    assert [event.text for event in events] == ["A", "\ufffd"]


def test_a_string_stop_at_the_last_token_counts_as_stop(tiny_config: HybridConfig) -> None:
    params = SamplingParams(temperature=0, stop=("B",), max_tokens=2)
    events, _, _ = run(scripted(tiny_config, 0, 1), params, decoder=Letters())
    assert (text(events), events[-1].finish_reason, events[-1].stop) == ("A", "stop", "B")


def test_without_a_decoder_there_is_no_text(noise_lm: FakeLM) -> None:
    assert text(run(noise_lm, SamplingParams(seed=0, max_tokens=5))[0]) == ""


def test_logprobs_are_of_the_models_own_distribution(noise_lm: FakeLM) -> None:
    params = SamplingParams(seed=4, temperature=0.2, top_k=3, logit_bias={9: 20.0}, max_tokens=6, logprobs=4)
    events, _, _ = run(noise_lm, params)
    scores = noise_lm.score(np.array([*PROMPT, *ids(events)], dtype=np.int32))
    for event, logits in zip(events, scores[len(PROMPT) - 1 :], strict=False):
        expected = logprobs(logits, event.id, 4)
        assert (event.logprob, event.top_logprobs) == (expected.chosen, expected.top)


def test_zero_logprobs_means_only_the_chosen_token(noise_lm: FakeLM) -> None:
    (event,), _, _ = run(noise_lm, SamplingParams(seed=4, max_tokens=1, logprobs=0))
    assert event.logprob is not None
    assert event.top_logprobs == ()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_closing_early_leaves_position_and_absorbed_in_step(noise_lm: FakeLM, count: int) -> None:
    state = noise_lm.new_state(50)
    with generate(noise_lm, state, PROMPT, SamplingParams(seed=1)) as generation:
        events = [next(generation) for _ in range(count)]
    chosen = tuple(ids(events))
    assert generation.completion == chosen
    assert generation.absorbed == (() if count == 0 else (*PROMPT, *chosen[:-1]))
    assert state.position == len(generation.absorbed)
    assert list(generation) == []
    assert generation.finish_reason is None


def test_going_on_from_absorbed_equals_never_having_stopped(noise_lm: FakeLM) -> None:
    expected = ids(run(noise_lm, SamplingParams(temperature=0, max_tokens=12))[0])
    state = noise_lm.new_state(50)
    with generate(noise_lm, state, PROMPT, GREEDY) as generation:
        begun = [next(generation).id for _ in range(5)]
    rest = [*PROMPT, *begun][len(generation.absorbed) :]
    more = ids(list(generate(noise_lm, state, rest, SamplingParams(temperature=0, max_tokens=7))))
    assert begun + more == expected


def test_an_interrupt_between_chunks_leaves_absorbed_right(noise_lm: FakeLM) -> None:
    state = noise_lm.new_state(50)

    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    generation = generate(noise_lm, state, PROMPT, GREEDY, prefill_chunk=1, on_prompt_progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(generation)
    assert generation.absorbed == PROMPT[:2]
    assert state.position == 2
    assert list(generation) == []


def test_an_interrupt_after_the_model_moved_is_still_accounted_for(noise_lm: FakeLM) -> None:
    class Interrupted(FakeLM):
        def extend(self, state: Any, tokens: Int32Array) -> Any:
            logits = super().extend(state, tokens)
            if state.position == 5:
                raise KeyboardInterrupt
            return logits

    model = Interrupted(noise_lm.config)
    state = model.new_state(50)
    generation = generate(model, state, PROMPT, GREEDY)
    events = [next(generation), next(generation)]
    with pytest.raises(KeyboardInterrupt):
        next(generation)
    assert generation.absorbed == (*PROMPT, *ids(events))


def test_history_counts_for_the_repetition_penalty(tiny_config: HybridConfig) -> None:
    model = scripted(tiny_config, 9)
    params = SamplingParams(temperature=0, repetition_penalty=1e9, max_tokens=1)
    assert ids(run(model, params)[0]) == [9]
    assert ids(run(model, params, history=[9])[0]) == [9]  # divided, but 20 / 1e9 is still above 0
    bias = SamplingParams(temperature=0, repetition_penalty=1e9, max_tokens=1, logit_bias={8: 1.0})
    assert ids(run(model, bias, history=[9])[0]) == [8]


def test_a_constraint_is_asked_before_and_told_after_every_choice(noise_lm: FakeLM) -> None:
    class Alternate:
        """Even and odd ids in turn."""

        def __init__(self) -> None:
            self.told: list[int] = []

        def forced(self) -> tuple[int, ...]:
            return ()

        def mask(self) -> NDArray[np.bool_] | None:
            allowed: NDArray[np.bool_] = np.arange(101) % 2 == len(self.told) % 2
            return allowed

        def bias(self) -> dict[int, float]:
            return {}

        def advance(self, token: int) -> None:
            self.told.append(token)

    constraint = Alternate()
    events, _, _ = run(noise_lm, SamplingParams(seed=5, max_tokens=8), constraint=constraint)
    assert constraint.told == ids(events)
    assert [token % 2 for token in ids(events)] == [0, 1] * 4


class ForcedThenBiased:
    """The ids 3, 4, 5 in a row, then whatever is biased."""

    def __init__(self, biased: int) -> None:
        self.rest = [3, 4, 5]
        self.biased = biased

    def forced(self) -> list[int]:
        return self.rest

    def mask(self) -> NDArray[np.bool_] | None:
        return None

    def bias(self) -> dict[int, float]:
        return {self.biased: 1e6}

    def advance(self, token: int) -> None:
        if self.rest:
            assert token == self.rest.pop(0)


@pytest.mark.parametrize("num_logprobs", [None, 0])
def test_forced_tokens_are_absorbed_in_one_pass_unless_their_logprobs_are_asked_for(
    noise_lm: FakeLM, num_logprobs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    extend = noise_lm.extend

    def counted(state: SequenceState, tokens: Int32Array) -> Float32Array:
        passes.append(len(tokens))
        return extend(state, tokens)

    monkeypatch.setattr(noise_lm, "extend", counted)
    params = SamplingParams(temperature=0, max_tokens=5, logprobs=num_logprobs)
    events, _, generation = run(noise_lm, params, constraint=ForcedThenBiased(7))
    assert ids(events) == [3, 4, 5, 7, 7]
    assert passes[1:] == ([3, 1] if num_logprobs is None else [1, 1, 1, 1])
    assert generation.absorbed == (*PROMPT, 3, 4, 5, 7)


def test_a_nonsense_chunk_is_refused(noise_lm: FakeLM) -> None:
    with pytest.raises(InputError, match="prefill_chunk"):
        generate(noise_lm, noise_lm.new_state(9), PROMPT, GREEDY, prefill_chunk=0)
