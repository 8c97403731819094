"""The sampling a model's makers recommend (generation_config.json), as SamplingParams and as something to show.

Knows the file's keys, not the file. Start at recommended_params.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from mambino.errors import InputError
from mambino.generation.params import SamplingParams

_FIELDS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommended:
    """params: the given ones with the recommendation applied. applied: what was taken. refused: key -> why not."""

    params: SamplingParams
    applied: Mapping[str, object]
    refused: Mapping[str, str]


def recommended_params(config: Mapping[str, object], base: SamplingParams | None = None) -> Recommended:
    """Apply a generation_config-like mapping to base (SamplingParams() if None).

    Taken: temperature, top_k, top_p, min_p, repetition_penalty, eos_token_id (to stop_token_ids), and do_sample false
    (temperature 0). A key that is absent changes nothing: the defaults that transformers fills in (top_k 50, and
    greedy where do_sample is absent) are not the makers' word. Other keys are not about sampling here.
    """
    params = base or SamplingParams()
    applied: dict[str, object] = {}
    refused: dict[str, str] = {}
    for name, value in _changes(config):
        try:
            params = replace(params, **{name: value})
            applied[name] = value
        except (InputError, TypeError) as error:
            refused[name] = str(error)
    return Recommended(params=params, applied=MappingProxyType(applied), refused=MappingProxyType(refused))


def _changes(config: Mapping[str, object]) -> list[tuple[str, Any]]:
    changes = [(name, config[name]) for name in _FIELDS if config.get(name) is not None]
    if config.get("do_sample") is False:
        changes.append(("temperature", 0.0))  # after the file's own, which then has no meaning
    ends = config.get("eos_token_id")
    if ends is not None:
        changes.append(("stop_token_ids", tuple(ends) if isinstance(ends, list) else (ends,)))
    return changes
