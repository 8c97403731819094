"""Why a remembered conversation could not simply go on: where a new text left the old one, in words.

Text only. Start at explain.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence

from mambino.chat.messages import Message
from mambino.chat.stream import CLOSE, OPEN
from mambino.generation.prefix_cache import common_length


def explain(old: str, new: str, messages: Sequence[Message], end_of: Callable[[int], int], tokens: int) -> str:
    """One sentence about the first difference between two rendered prompts.

    end_of(i) is where messages[i] ends in new, asked for few of them; tokens counts those of the common beginning.
    """
    if not old:
        return "nothing of this conversation is remembered"
    place = common_length(old, new)
    if place == len(old):
        return f"token {tokens} is as far as this conversation is remembered"
    index = bisect_right(range(len(messages)), place, key=end_of)
    if index == len(messages):
        return f"diverged at token {tokens}: what follows the last message was rendered otherwise"
    if drops_thinking(old, new, place):
        turn = sum(message.role == "user" for message in messages[:index])
        return f"diverged at token {tokens}: the template dropped the thinking of turn {turn}"
    return f"diverged at token {tokens}: message {index + 1} ({messages[index].role}) is not what it was"


def drops_thinking(old: str, new: str, place: int) -> bool:
    """Whether old goes on with reasoning at place, where they part, and new without."""
    before = old[:place]
    is_inside = before.rfind(OPEN) > before.rfind(CLOSE)
    opens = old[place:].lstrip().startswith(OPEN) or (OPEN in old[max(0, place - len(OPEN)) : place + len(OPEN)])
    return (is_inside or opens) and CLOSE in old[place:] and not new[place:].lstrip().startswith(OPEN)
