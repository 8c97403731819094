"""A local model as a responder and a ranker. Start at LocalResponder."""

import time
from collections.abc import Sequence

import numpy as np

from mambino.chat.answering import Answerer
from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest
from mambino.evals.task import OptionScore, Reply
from mambino.lm import LanguageModel
from mambino.tokenizer.tokenizer import Tokenizer


class LocalResponder:
    """Answers with one slot; requests with a common beginning share what was absorbed."""

    def __init__(self, answerer: Answerer, *, name: str) -> None:
        self._answerer = answerer
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def knows_tools(self) -> bool:
        return self._answerer.knows_tools

    def respond(self, request: AnswerRequest) -> Reply:
        started = time.perf_counter()
        with self._answerer.answer(request) as answer:
            for _ in answer:
                pass
            message = answer.message
        return Reply(
            message=message or Message(role="assistant", content=""),
            finish_reason=answer.turn.finish_reason,
            prompt_tokens=answer.turn.prompt_tokens,
            completion_tokens=len(answer.turn.tokens),
            elapsed_s=time.perf_counter() - started,
            first_token_s=answer.turn.prompt_s,
        )


class LocalRanker:
    """Log-probabilities of options after a prompt, by the model's score(); the prompt's tokens keep their own cut."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer

    def rank(self, prompt: str, options: Sequence[str]) -> tuple[OptionScore, ...]:
        """An empty prompt scores whole texts after the beginning token, where the model has one."""
        has_begin = self._tokenizer.bos_token_id is not None
        prefix = self._tokenizer.encode(prompt, add_bos=has_begin and (self._tokenizer.wants_bos or not prompt))
        return tuple(self._score(prefix, self._tokenizer.encode(option)) for option in options)

    def _score(self, prefix: Sequence[int], option: Sequence[int]) -> OptionScore:
        ids = np.array([*prefix, *option], dtype=np.int32)
        start = max(1, len(prefix))  # without a prefix the first token has nothing to follow
        logits = self._model.score(ids)[start - 1 : -1].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(len(logits)), ids[start:]] - np.log(np.exp(logits).sum(axis=1))
        return OptionScore(logprob=float(chosen.sum()), num_tokens=len(ids) - start)
