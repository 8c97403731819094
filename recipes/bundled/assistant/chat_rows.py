"""Small talk, simple facts and stories of the closed world, from the dialogues that the model was first taught."""

import random

from mambino.chat.messages import Message
from recipes.bundled.assistant.row import NoCall, Row, Split
from recipes.bundled.chats import dialogue

MAX_CHARS = 1800  # of a conversation: about 500 tokens


def chat(rng: random.Random, split: Split) -> Row:
    """A dialogue; both splits draw from the same closed world, with other seeds."""
    turns = dialogue(rng)
    while sum(len(text) for _, text in turns) > MAX_CHARS:
        turns = dialogue(rng)
    messages = [
        Message(role="system", content=text)
        if role == "system"
        else Message(role="user", content=text)
        if role == "user"
        else Message(role="assistant", content=text)
        for role, text in turns
    ]
    return Row(kind="chat", messages=tuple(messages), check=NoCall())
