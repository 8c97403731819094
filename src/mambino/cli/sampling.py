"""The sampling of a session: what the model's makers recommend, under what the user asked for; and how to say it.

Start at choose_sampling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Literal

from mambino.cli.options import Overrides, fresh_seed
from mambino.errors import InputError
from mambino.formats.checkpoint import Checkpoint
from mambino.generation.defaults import recommended_params
from mambino.generation.params import SamplingParams

Source = Literal["recommended by the model", "mambino's default", "the persona's", "yours"]

# For models whose files recommend nothing: cautious, and the same for all of them.
DEFAULT = SamplingParams(temperature=0.7, top_p=0.95)

_SHOWN = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
_LIMITS = ("seed", "stop", "max_tokens")
_NEUTRAL = SamplingParams()
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenSampling:
    """params, and where each field that was set comes from."""

    params: SamplingParams
    sources: Mapping[str, Source]

    def with_field(self, name: str, value: object, source: Source = "yours") -> "ChosenSampling":
        """With another choice of one field. Raises InputError for an unknown field or a bad value."""
        if name not in (*_SHOWN, *_LIMITS):
            raise InputError(f"[sampling] unknown setting {name!r}; known are {', '.join((*_SHOWN, *_LIMITS))}")
        try:
            params = replace(self.params, **{name: value})  # type: ignore[arg-type]  # SamplingParams checks
        except TypeError as error:
            raise InputError(f"[sampling] {name}: {value!r} does not fit") from error
        return ChosenSampling(params=params, sources={**self.sources, name: source})

    def with_fresh_seed(self) -> "ChosenSampling":
        """With a new seed, unless the user chose one: shown, so that an answer can be repeated by typing its seed."""
        if "seed" in self.sources:
            return self
        return ChosenSampling(params=replace(self.params, seed=fresh_seed()), sources=self.sources)

    def describe(self) -> str:
        """One line: every field that changes the outcome, grouped by where it comes from."""
        groups: dict[Source, list[str]] = {}
        for name in (*_SHOWN, *_LIMITS):
            value = field_value(self.params, name)
            if name in self.sources and (name == "temperature" or value != field_value(_NEUTRAL, name)):
                groups.setdefault(self.sources[name], []).append(f"{name} {_shown(value)}")
        return "; ".join(f"{', '.join(group)} ({source})" for source, group in groups.items()) or "plain"

    def to_json(self) -> dict[str, object]:
        """Every field that is in force."""
        values = {name: field_value(self.params, name) for name in (*_SHOWN, *_LIMITS)}
        return {**values, "stop": list(self.params.stop), "sources": dict(self.sources)}


def choose_sampling(
    checkpoint: Checkpoint, overrides: Overrides, *, advised: Mapping[str, object] = _NOTHING
) -> ChosenSampling:
    """The model's recommendation, else DEFAULT, under what a persona advises, under the user's own.

    Raises     InputError for a value out of range
    """
    recommended = recommended_params(checkpoint.generation_defaults)
    taken = [name for name in recommended.applied if name in _SHOWN]
    sources: dict[str, Source] = dict.fromkeys(taken, "recommended by the model")
    params = recommended.params
    if not taken:
        params = replace(params, temperature=DEFAULT.temperature, top_p=DEFAULT.top_p)
        sources = {"temperature": "mambino's default", "top_p": "mambino's default"}
    chosen = ChosenSampling(params=params, sources=sources)
    for name, value in advised.items():
        chosen = chosen.with_field(name, value, "the persona's")
    for name, value in overrides.items():
        chosen = chosen.with_field(name, value)
    return chosen


def parse_setting(name: str, text: str) -> object:
    """What a user types for a field: a number, text for stop, none for no limit. Raises InputError."""
    if text.lower() == "none":
        return () if name == "stop" else None
    if name == "stop":
        return (text.encode().decode("unicode_escape") if "\\" in text else text,)
    try:
        return int(text) if name in ("top_k", "seed", "max_tokens") else float(text)
    except ValueError as error:
        raise InputError(f"[sampling] {name}: expected a number or none, got {text!r}") from error


def field_value(params: SamplingParams, name: str) -> object:
    return {field.name: getattr(params, field.name) for field in fields(params)}[name]


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(repr(text) for text in value) if isinstance(value, tuple) else str(value)
