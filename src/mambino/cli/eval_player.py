"""Whoever `mambino eval` measures: a local model, or an endpoint. Start at open_player."""

import re
from dataclasses import dataclass, fields

from mambino.chat.answering import Answerer
from mambino.chat.request import Thinking
from mambino.cli.eval_options import EndpointOptions
from mambino.cli.opening import open_all
from mambino.cli.options import ModelOptions, Overrides
from mambino.evals.endpoint import EndpointResponder
from mambino.evals.local import LocalRanker, LocalResponder
from mambino.evals.task import Player
from mambino.generation.params import SamplingParams

MAX_TOKENS = 2048  # of an answer; a model that never stops must not hold up a run


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedPlayer:
    """settings decide whether a run can be gone on with; folder_name is where it is kept by default."""

    player: Player
    settings: dict[str, object]
    folder_name: str


def open_player(
    options: ModelOptions,
    overrides: Overrides,
    endpoint: EndpointOptions,
    *,
    thinking: Thinking,
    scores_unfinished: bool,
) -> OpenedPlayer:
    """Greedy unless told otherwise, and seeded: the same command gives the same answers.

    Raises     what opening a model raises
    """
    params = SamplingParams(**{"temperature": 0.0, "max_tokens": MAX_TOKENS, "seed": 0} | dict(overrides))  # type: ignore[arg-type]
    settings: dict[str, object] = {"thinking": thinking, "score_cut": scores_unfinished, **_changed(params)}
    if endpoint.url is not None and endpoint.model is not None:
        responder = EndpointResponder(endpoint.url, endpoint.model, api_key=endpoint.api_key)
        player = Player(responder=responder, params=params, thinking=thinking, scores_unfinished=scores_unfinished)
        return OpenedPlayer(player=player, settings=settings, folder_name=_file_name(endpoint.model))
    opened = open_all(options, merges_adapter=True)
    answerer = Answerer(opened.model, opened.tokenizer, context=opened.context)
    player = Player(
        responder=LocalResponder(answerer, name=opened.name),
        ranker=LocalRanker(opened.model, opened.tokenizer),
        params=params,
        thinking=thinking,
        scores_unfinished=scores_unfinished,
    )
    return OpenedPlayer(player=player, settings=settings, folder_name=_file_name(opened.name))


def _changed(params: SamplingParams) -> dict[str, object]:
    """Fields that differ from plain sampling, as JSON values."""
    plain = SamplingParams()
    values = {field.name: (getattr(params, field.name), getattr(plain, field.name)) for field in fields(params)}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, (value, default) in values.items()
        if value != default
    }


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"
