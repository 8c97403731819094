"""The request by which a model sums up what it will not see any more. Start at summary_request."""

from collections.abc import Sequence

from mambino.chat.messages import Message
from mambino.chat.request import AnswerRequest
from mambino.generation.params import SamplingParams
from mambino.lm import Adapter

_TOKENS = 320
_QUESTION = (
    "Summarise our conversation so far in at most 150 words: facts about me, decisions, open questions. "
    "Answer with the summary alone."
)


def summary_request(
    messages: Sequence[Message], *, has_thinking_switch: bool, adapter: Adapter | None
) -> AnswerRequest:
    """Asks for a summary of messages by who had them: no tools, greedily, no thinking if that can be switched off."""
    return AnswerRequest(
        messages=(*messages, Message(role="user", content=_QUESTION)),
        params=SamplingParams(temperature=0.0, max_tokens=_TOKENS),
        thinking=False if has_thinking_switch else None,
        adapter=adapter,
    )
