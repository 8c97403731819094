"""Rows of NeMo-Gym environments as samples. Start at conversation; chat/gym_rows.py reads what they ask."""

from collections.abc import Mapping

from mambino.chat.gym_rows import gym_prompt
from mambino.evals.data import Row
from mambino.evals.task import Sample


def conversation(name: str, row: Row, data: Mapping[str, object]) -> Sample:
    """A sample of the row's responses_create_params. Raises InputError if it has none."""
    asked = gym_prompt(name, row)
    return Sample(id=name, messages=asked.messages, tools=asked.tools, data=data)
