"""Where a state can go from where it is: forward, back to a mark, or to the start."""

import numpy as np

from mambino.chat.absorbed import CHUNK_TOKENS, AbsorbedText
from tiny_chat import ReplyLM, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def fresh() -> AbsorbedText:
    return AbsorbedText(ReplyLM(TOKENIZER, ["x"]), 5000, TOKENIZER.decode)


def extend(absorbed: AbsorbedText, text: str) -> None:
    absorbed.extend(text, TOKENIZER.encode(text), lambda count: None)


def test_a_longer_text_goes_on_from_here() -> None:
    absorbed = fresh()
    assert absorbed.seek("one two") == "one two"
    extend(absorbed, "one")
    assert absorbed.seek("one two") == " two"


def test_the_same_text_again_leaves_something_to_feed() -> None:
    absorbed = fresh()
    extend(absorbed, "one")
    absorbed.mark()
    extend(absorbed, " two")
    assert absorbed.seek("one two") == " two"
    assert absorbed.seek("one") == "one"
    assert absorbed.state.position == 0


def test_another_text_goes_back_to_the_furthest_mark_that_it_shares() -> None:
    absorbed = fresh()
    for piece in ("one", " two", " three"):
        extend(absorbed, piece)
        absorbed.mark()
    assert absorbed.seek("one two four") == " four"
    assert absorbed.ids == TOKENIZER.encode("one") + TOKENIZER.encode(" two")
    assert absorbed.state.position == len(absorbed.ids)


def test_a_state_that_moved_unseen_is_not_trusted() -> None:
    absorbed = fresh()
    extend(absorbed, "one")
    absorbed.mark()
    extend(absorbed, " two")
    absorbed._model.extend(absorbed.state, np.array([1], dtype=np.int32))  # Ctrl-C came before the bookkeeping
    assert absorbed.seek("one two three") == " two three"
    assert absorbed.state.position == len(absorbed.ids)


def test_text_follows_the_ids_chunk_by_chunk() -> None:
    absorbed = fresh()
    text = "words " * CHUNK_TOKENS
    seen: list[bool] = []
    absorbed.extend(
        text, TOKENIZER.encode(text), lambda count: seen.append(TOKENIZER.decode(absorbed.ids) == absorbed.text)
    )
    assert len(seen) > 3
    assert all(seen)
    assert absorbed.text == text
