"""What is asked of a model in a conversation, as one frozen value: messages, tools, thinking, the answer's form.

Values only; answering.py serves them. Start at AnswerRequest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mambino.chat.messages import Message
from mambino.generation.params import SamplingParams
from mambino.lm import Adapter

Thinking = bool | int | None  # None: the template's default; False: off; True: on; n: on, for at most n tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTool:
    """tool_choice: this tool and no other must be called."""

    name: str


ToolChoice = Literal["none", "auto", "required"] | NamedTool
OutputKind = Literal["json_schema", "json_object", "regex", "lark", "choice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """What the answer's content must match.

    source is the JSON schema (a mapping), the regular expression or the Lark grammar (text), the choices (a tuple of
    texts), or None for json_object.
    """

    kind: OutputKind
    source: Mapping[str, object] | str | tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRequest:
    """tools are JSON schemas of functions: {"name", "description", "parameters"}, without the OpenAI wrapper.

    adapter is added to the model's weights for this answer; None is the model as it was opened.
    """

    messages: tuple[Message, ...]
    params: SamplingParams = field(default_factory=SamplingParams)
    tools: tuple[Mapping[str, object], ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_calls: bool = True
    output: OutputFormat | None = None
    thinking: Thinking = None
    adapter: Adapter | None = None

    @property
    def adapter_digest(self) -> str:
        """ "" without an adapter."""
        return "" if self.adapter is None else self.adapter.digest
