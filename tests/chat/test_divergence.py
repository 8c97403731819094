"""A miss is explained by the first message that is not what it was, without rendering every beginning."""

import pytest

from mambino.chat.divergence import explain
from mambino.chat.messages import Message

MESSAGES = [Message(role="user" if index % 2 == 0 else "assistant", content=f"{index:04}") for index in range(1000)]
TEXT = "".join(message.content for message in MESSAGES)


@pytest.mark.parametrize("changed", [0, 1, 500, 999])
def test_the_first_changed_message_is_found_by_few_looks(changed: int) -> None:
    looks: list[int] = []

    def end_of(index: int) -> int:
        looks.append(index)
        return 4 * (index + 1)

    old = TEXT[: 4 * changed] + "other" + TEXT[4 * changed :]
    said = explain(old, TEXT, MESSAGES, end_of, 7)
    assert said == f"diverged at token 7: message {changed + 1} ({MESSAGES[changed].role}) is not what it was"
    assert len(looks) < 12


def test_what_is_rendered_after_the_last_message_is_told_apart() -> None:
    assert "what follows the last message" in explain(
        TEXT + "one", TEXT + "two", MESSAGES, lambda index: 4 * index + 4, 9
    )
    assert explain("", TEXT, MESSAGES, lambda index: 0, 0) == "nothing of this conversation is remembered"
    assert "token 3 is as far" in explain(TEXT[:9], TEXT, MESSAGES, lambda index: 0, 3)
