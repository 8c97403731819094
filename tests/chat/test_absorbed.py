"""Where a state can go from where it is: forward, back to a mark, or to the start."""

import numpy as np

from mambino.chat.absorbed import CHUNK_TOKENS, AbsorbedText
from mambino.chat.prompt import PromptEncoder
from mambino.chat.spelling import IdSpelling, RenderedSpelling
from mambino.generation.prefix_cache import REPLAY_TOKENS, SnapshotTree
from tiny_chat import ReplyLM, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
SPELLING = RenderedSpelling(PromptEncoder(TOKENIZER))


def fresh(tree: SnapshotTree | None = None) -> AbsorbedText:
    return AbsorbedText(ReplyLM(TOKENIZER, ["x"]), 9000, SnapshotTree(10**9) if tree is None else tree)


def extend(absorbed: AbsorbedText, text: str) -> None:
    absorbed.extend(text, SPELLING.encode(text), SPELLING, lambda count: None)


def test_a_longer_text_goes_on_from_here() -> None:
    absorbed = fresh()
    assert absorbed.seek("one two", SPELLING) == "one two"
    extend(absorbed, "one")
    assert absorbed.seek("one two", SPELLING) == " two"


def test_the_same_text_again_leaves_something_to_feed() -> None:
    absorbed = fresh()
    extend(absorbed, "one")
    absorbed.mark()
    extend(absorbed, " two")
    assert absorbed.seek("one two", SPELLING) == " two"
    assert absorbed.seek("one", SPELLING) == "one"
    assert absorbed.state.position == 0


def test_another_text_goes_back_to_the_furthest_mark_that_it_shares() -> None:
    absorbed = fresh()
    for piece in ("one", " two", " three"):
        extend(absorbed, piece)
        absorbed.mark()
    assert absorbed.seek("one two four", SPELLING) == " four"
    assert absorbed.ids == TOKENIZER.encode("one") + TOKENIZER.encode(" two")
    assert absorbed.state.position == len(absorbed.ids)


def test_a_state_that_moved_unseen_is_not_trusted() -> None:
    absorbed = fresh()
    extend(absorbed, "one")
    absorbed.mark()
    extend(absorbed, " two")
    absorbed._model.extend(absorbed.state, np.array([1], dtype=np.int32))  # Ctrl-C came before the bookkeeping
    assert absorbed.seek("one two three", SPELLING) == " two three"
    assert absorbed.state.position == len(absorbed.ids)


def test_text_follows_the_ids_chunk_by_chunk() -> None:
    absorbed = fresh()
    text = "words " * CHUNK_TOKENS
    seen: list[bool] = []
    absorbed.extend(
        text,
        TOKENIZER.encode(text),
        SPELLING,
        lambda count: seen.append(TOKENIZER.decode(absorbed.ids) == absorbed.text),
    )
    assert len(seen) > 3
    assert all(seen)
    assert absorbed.text == text


def test_a_place_inside_a_word_is_not_gone_on_from() -> None:
    absorbed = fresh()
    extend(absorbed, "say hel")  # and not "hell", which is one token
    absorbed.mark()
    assert absorbed.seek("say hello", SPELLING) == "say hello"
    extend(absorbed, "say hel")
    assert absorbed.seek("say help", SPELLING) == "p"  # encoded at once it is cut at the same place
    extend(absorbed, "p")
    assert absorbed.seek("say help<|im_end|>", SPELLING) == "<|im_end|>"


def test_ids_are_gone_on_from_anywhere() -> None:
    absorbed, spelling = fresh(), IdSpelling()
    text = spelling.decode([5, 6, 7])
    absorbed.extend(text, spelling.encode(text), spelling, lambda count: None)
    assert spelling.encode(absorbed.seek(spelling.decode([5, 6, 7, 8, 9]), spelling)) == [8, 9]


def test_a_long_text_is_marked_on_the_way() -> None:
    absorbed = fresh()
    text = "words " * REPLAY_TOKENS
    extend(absorbed, text[: 3 * REPLAY_TOKENS] + "<|im_end|>")
    edited = text[: 3 * REPLAY_TOKENS - 30] + "another end"
    rest = absorbed.seek(edited, SPELLING)
    assert len(SPELLING.encode(rest)) < REPLAY_TOKENS + CHUNK_TOKENS


def test_a_conversation_that_another_takes_over_is_remembered() -> None:
    tree = SnapshotTree(10**9)
    absorbed = fresh(tree)
    extend(absorbed, "<|im_start|>one<|im_end|>")
    absorbed.seek("<|im_start|>two", SPELLING)
    extend(absorbed, "<|im_start|>two")
    assert absorbed.seek("<|im_start|>one<|im_end|>more", SPELLING) == "more"


def test_states_share_what_they_remember() -> None:
    tree = SnapshotTree(10**9)
    one, other = fresh(tree), fresh(tree)
    other._model = one._model  # snapshots belong to one model
    other.state = one._model.new_state(9000)
    extend(one, "<|im_start|>system<|im_end|>")
    one.mark()
    assert other.seek("<|im_start|>system<|im_end|>hi", SPELLING) == "hi"
    assert other.state.position == len(other.ids)
