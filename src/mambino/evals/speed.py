"""How fast a LanguageModel reads and writes at a length of context. Knows the contract and a clock, nothing else.

Start at time_context.
"""

import hashlib
import time
from dataclasses import dataclass

import numpy as np

from mambino.errors import InputError
from mambino.lm import Int32Array, LanguageModel

_DIGEST_TOKENS = 64
_WARM_UP_TOKENS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One run: prompt_s from an empty state to the first logits, decode_s for all tokens after them, one by one."""

    prompt_tokens: int
    decode_tokens: int
    prompt_s: float
    decode_s: float

    @property
    def prompt_rate(self) -> float:
        return self.prompt_tokens / self.prompt_s

    @property
    def decode_rate(self) -> float:
        return self.decode_tokens / self.decode_s


def time_context(model: LanguageModel, prompt_tokens: int, decode_tokens: int) -> Timing:
    """Read a prompt of prompt_tokens, then write decode_tokens greedily.

    Raises     InputError unless both are positive and fit the model's context
    """
    total = prompt_tokens + decode_tokens
    if min(prompt_tokens, decode_tokens) < 1 or total > model.config.max_context:
        raise InputError(f"[speed] {prompt_tokens} + {decode_tokens} tokens: expected 1 to {model.config.max_context}")
    state, prompt = model.new_state(total), _some_tokens(model, prompt_tokens)
    began = time.perf_counter()
    logits = model.extend(state, prompt)
    read = time.perf_counter()
    for _ in range(decode_tokens):
        logits = model.extend(state, np.array([logits.argmax()], np.int32))
    done = time.perf_counter()
    return Timing(prompt_tokens=prompt_tokens, decode_tokens=decode_tokens, prompt_s=read - began, decode_s=done - read)


def warm_up(model: LanguageModel) -> None:
    """Touch every weight once, so that the first timing is not of the disk."""
    state = model.new_state(_WARM_UP_TOKENS + 1)
    model.extend(state, _some_tokens(model, _WARM_UP_TOKENS))
    model.extend(state, _some_tokens(model, 1))


def logits_digest(model: LanguageModel) -> str:
    """A short hash of the logits after a fixed sequence: equal files, builds and instruction sets give equal ones."""
    logits = model.extend(model.new_state(_DIGEST_TOKENS), _some_tokens(model, _DIGEST_TOKENS))
    return hashlib.sha256(logits.tobytes()).hexdigest()[:16]


def _some_tokens(model: LanguageModel, count: int) -> Int32Array:
    """The same random ids every time."""
    return np.random.default_rng(0).integers(0, model.config.vocab_size, count).astype(np.int32)
