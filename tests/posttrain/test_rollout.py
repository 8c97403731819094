"""Trajectories hold exactly what was read and sampled, with the policy's own log-probabilities."""

from collections.abc import Sequence

import numpy as np
import pytest

from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.errors import ContextFull, InputError
from mambino.lm import Float32Array
from mambino.posttrain.rollout import Attempt, Task, Trajectory, collect, draw
from mambino.scoring.scored import Scored, right
from tiny_chat import TEMPLATE, ReplyLM, tiny_tokenizer


class Talk:
    """Answers every message with the next line."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)
        self.heard: list[Message] = []

    def reply(self, answer: Message) -> Sequence[Message]:
        self.heard.append(answer)
        return [Message(role="user", content=self._lines.pop(0))] if self._lines else ()

    def score(self, trajectory: Trajectory) -> Scored:
        return right(" | ".join(message.content for message in self.heard))


def attempts(count: int, *lines: str, thinking: bool | None = None, text: str = "Hi") -> list[Attempt]:
    task = Task(
        id="talk", environment="talk", messages=(Message(role="user", content=text),), begin=lambda: Talk(*lines)
    )
    return [Attempt(task=task, is_thinking=thinking, seed=(7, index)) for index in range(count)]


def test_a_talk_of_two_turns_is_one_trajectory_of_the_very_tokens() -> None:
    tokenizer = tiny_tokenizer()
    model = ReplyLM(tokenizer, ["One.", "Two."])
    (made,) = collect(model, PromptEncoder(tokenizer), attempts(1, "And?"), max_tokens=30)
    assert tokenizer.decode(made.tokens.tolist()) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nOne.<|im_end|>\n"
        "<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\nTwo.<|im_end|>"
    )
    assert tokenizer.decode(made.tokens[made.is_sampled].tolist()) == "One.<|im_end|>Two.<|im_end|>"
    assert (made.finish, made.text, made.reward.evidence) == ("stop", "Two.", "One. | Two.")
    assert (made.logprobs[made.is_sampled] < 0).all()
    assert (made.logprobs[~made.is_sampled] == 0).all()


def test_reasoning_is_told_from_the_answer() -> None:
    tokenizer = tiny_tokenizer()
    model = ReplyLM(tokenizer, ["Hm.\n</think>\nYes."])
    (made,) = collect(model, PromptEncoder(tokenizer), attempts(1, thinking=True), max_tokens=60)
    assert (made.answers[0].reasoning, made.text) == ("Hm.", "Yes.")


def test_what_never_ends_is_cut_and_says_so() -> None:
    tokenizer = tiny_tokenizer()
    (made,) = collect(ReplyLM(tokenizer, ["Never ending."]), PromptEncoder(tokenizer), attempts(1), max_tokens=5)
    assert (made.finish, made.num_sampled, made.text) == ("length", 5, "Never")


def test_a_template_that_rewrites_the_past_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    model = ReplyLM(tokenizer, ["Hm.\n</think>\nYes."])
    with pytest.raises(InputError, match="rewrites the past"):
        collect(model, PromptEncoder(tokenizer), attempts(1, "And?", thinking=True), max_tokens=60)


def test_a_prompt_that_does_not_fit_is_named() -> None:
    tokenizer = tiny_tokenizer(TEMPLATE)
    with pytest.raises(ContextFull, match="leave the task out"):
        collect(ReplyLM(tokenizer, ["x"]), PromptEncoder(tokenizer), attempts(1, text="x" * 5000), max_tokens=5)


@pytest.mark.torch
def test_attempts_do_not_depend_on_what_runs_beside_them_and_logprobs_are_the_models() -> None:
    import torch

    from mambino.model.hybrid import HybridLM
    from mambino.model.torch_lm import TorchLM
    from tiny_chat import tiny_chat_config

    tokenizer = tiny_tokenizer()
    model = TorchLM(HybridLM(tiny_chat_config(tokenizer), generator=torch.Generator().manual_seed(0)).double())
    prompt = PromptEncoder(tokenizer)
    together = collect(model, prompt, attempts(5), max_tokens=6)
    for slots, made in ((2, collect(model, prompt, attempts(5), max_tokens=6, slots=2)),):
        assert all((a.tokens == b.tokens).all() for a, b in zip(made, together, strict=True)), slots
    assert len({one.tokens.tobytes() for one in together}) > 1
    for one in together:
        logits = model.score(one.tokens).astype(np.float64)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        expected = logits[np.arange(len(one.tokens) - 1), one.tokens[1:]]
        sampled = one.is_sampled[1:]
        np.testing.assert_allclose(one.logprobs[1:][sampled], expected[sampled], atol=1e-5)


def test_draws_follow_the_distribution() -> None:
    logits: Float32Array = np.log(np.array([0.5, 0.3, 0.2, 1e-30])).astype(np.float32)
    rng = np.random.default_rng(0)
    drawn = [draw(logits, rng) for _ in range(4000)]
    shares = np.bincount([token for token, _ in drawn], minlength=4) / 4000
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2, 0.0], atol=0.03)  # four standard deviations
    assert all(abs(np.exp(logprob) - (0.5, 0.3, 0.2)[token]) < 1e-6 for token, logprob in drawn[:50])
