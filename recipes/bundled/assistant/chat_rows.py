"""Small talk, simple facts and stories of the closed world, with and without tools that nobody needs. Start at chat."""

import random

from mambino.chat.messages import Message
from recipes.bundled.assistant.asking import offer
from recipes.bundled.assistant.row import NoCall, Row, Split
from recipes.bundled.chats import dialogue

_MAX_CHARS = 1600  # of a conversation: about 450 tokens
_THINKS = 0.2  # mostly off: there is little to think about
_HAS_TOOLS = 0.35
_REASONS = (
    "I can answer this without a tool.",
    "The user talks to me. I answer in a friendly way.",
    "This is simple. I answer.",
)


def chat(rng: random.Random, split: Split) -> Row:
    """A dialogue of the same closed world in both splits."""
    turns = dialogue(rng)
    while sum(len(text) for _, text in turns) > _MAX_CHARS:
        turns = dialogue(rng)
    offered = offer(rng, split, rng.randint(1, 4)) if rng.random() < _HAS_TOOLS else []
    thinks = rng.random() < _THINKS
    messages = list[Message]()
    for role, text in turns:
        if role == "assistant":
            reason = _REASONS[0] if offered else rng.choice(_REASONS[1:])
            messages.append(Message(role="assistant", content=text, reasoning=reason if thinks else None))
        else:
            messages.append(Message(role="system" if role == "system" else "user", content=text))
    return Row(kind="chat", messages=tuple(messages), tools=tuple(tool.schema for tool in offered), check=NoCall())
