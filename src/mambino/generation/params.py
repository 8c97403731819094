"""How the next token is chosen and when to stop: one frozen, checked value.

Knows no model and no tokenizer; stop strings are text, everything else ids. Start at SamplingParams.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from mambino.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """Every field changes the outcome; the values here change nothing (plain sampling from the model).

    temperature         0 takes the most likely token (after penalties and bias; the lowest id of equals)
    top_k               keep the k most likely; 0 keeps all
    top_p               keep the fewest most likely tokens whose probabilities reach p; 1 keeps all
    min_p               keep tokens at least min_p times as likely as the most likely; 0 keeps all
    repetition_penalty  divides positive and multiplies negative logits of tokens in prompt or completion; 1 is off
    presence_penalty    subtracted from the logits of tokens in the completion
    frequency_penalty   subtracted once for each occurrence in the completion
    logit_bias          added to the logits of these ids; -inf forbids one
    seed                the same seed, prompt and model repeat exactly; None draws a fresh one
    stop                strings that end the completion; they are not part of it
    stop_token_ids      ids that end the completion; the model's end tokens are not implied
    max_tokens          most tokens in the completion; None means until the context is full
    logprobs            None for none; n for the chosen token's and the n likeliest tokens' log-probabilities
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    max_tokens: int | None = None
    logprobs: int | None = None

    def __post_init__(self) -> None:
        _require_number("temperature", self.temperature, low=0.0)
        _require_number("top_p", self.top_p, low=0.0, high=1.0, open_low=True)
        _require_number("min_p", self.min_p, low=0.0, high=1.0)
        _require_number("repetition_penalty", self.repetition_penalty, low=0.0, open_low=True)
        _require_number("presence_penalty", self.presence_penalty)
        _require_number("frequency_penalty", self.frequency_penalty)
        _require_count("top_k", self.top_k, 0)
        for name, value, low in (
            ("seed", self.seed, 0),
            ("max_tokens", self.max_tokens, 1),
            ("logprobs", self.logprobs, 0),
        ):
            if value is not None:
                _require_count(name, value, low)
        self._check_collections()

    def _check_collections(self) -> None:
        for token, bias in self.logit_bias.items():
            _require_count("logit_bias key", token, 0)
            if bias != -math.inf:
                _require_number(f"logit_bias[{token}]", bias)
        if isinstance(self.stop, str) or not all(isinstance(stop, str) and stop for stop in self.stop):
            raise InputError(f"[sampling] stop: expected a tuple of non-empty strings, got {self.stop!r}")
        for token in self.stop_token_ids:
            _require_count("stop_token_ids", token, 0)
        object.__setattr__(self, "logit_bias", MappingProxyType(dict(self.logit_bias)))
        object.__setattr__(self, "stop", tuple(self.stop))
        object.__setattr__(self, "stop_token_ids", tuple(self.stop_token_ids))


def _require_number(
    name: str, value: object, *, low: float = -math.inf, high: float = math.inf, open_low: bool = False
) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= cast(float, value) <= high or (open_low and value == low):
        bounds = f"{'above' if open_low else 'from'} {low} to {high}"
        raise InputError(f"[sampling] {name}: expected a finite number {bounds}, got {value!r}")


def _require_count(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(f"[sampling] {name}: expected an integer >= {low}, got {value!r}")
