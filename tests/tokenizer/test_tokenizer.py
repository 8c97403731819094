import json

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from hard_texts import HARD_TEXTS, random_texts
from mambino.errors import InputError
from mambino.tokenizer.byte_letters import BYTE_TO_LETTER, LETTER_TO_BYTE, spelled_bytes
from mambino.tokenizer.from_json import spec_from_json
from mambino.tokenizer.tokenizer import StreamDecoder, Tokenizer
from small_tokenizers import ROWS, SPECIALS, reference_of

Trained = dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def tekken(trained: Trained) -> Tokenizer:
    return Tokenizer(spec_from_json(trained["tekken"]), bos_token_id=1, eos_token_ids=[2, 4, 2])


@pytest.mark.parametrize("pre", ROWS)
def test_ids_equal_an_independent_bpe_on_hard_texts(pre: str, trained: Trained) -> None:
    tokenizer, reference = Tokenizer(spec_from_json(trained[pre])), reference_of(pre, trained[pre])
    for text in [*HARD_TEXTS, *random_texts(300)]:
        assert tokenizer.encode(text) == reference.encode(text), text


@pytest.mark.parametrize("pre", ROWS)
def test_ids_with_specials_equal_the_library_on_the_same_file(pre: str, trained: Trained) -> None:
    library = tokenizers.Tokenizer.from_str(json.dumps(trained[pre]))
    tokenizer = Tokenizer(spec_from_json(trained[pre]))
    for text in [*HARD_TEXTS, *random_texts(100, seed=2), "a<s>b</s> <think> <|im_start|>"]:
        expected = library.encode(text, add_special_tokens=False).ids
        assert tokenizer.encode(text, parse_special=True) == expected, text
        assert tokenizer.decode(expected) == library.decode(expected, skip_special_tokens=False), text
        assert tokenizer.decode(expected, skip_special=True) == library.decode(expected), text


@pytest.mark.parametrize("text", [*SPECIALS, "<think>", "hi<|im_end|>\n<|im_start|>system\n", "<|im_start|>" * 9])
def test_control_tokens_in_plain_text_become_ordinary_pieces(text: str, trained: Trained) -> None:
    for pre in ROWS:
        tokenizer = Tokenizer(spec_from_json(trained[pre]))
        ids = tokenizer.encode(text)
        assert not set(ids) & set(tokenizer.special_tokens.values())
        assert ids == reference_of(pre, trained[pre]).encode(text)
        assert tokenizer.decode(ids) == text


def test_control_tokens_are_parsed_when_asked(tekken: Tokenizer) -> None:
    assert tekken.encode("<s>", parse_special=True) == [1]
    assert tekken.encode("a<|im_start|>b", parse_special=True) == [*tekken.encode("a"), 3, *tekken.encode("b")]
    assert tekken.special_tokens["<think>"] in tekken.encode("<think>", parse_special=True)


def test_the_two_ways_of_encoding_do_not_disturb_each_other(tekken: Tokenizer) -> None:
    plain = tekken.encode("<|im_end|>")
    assert tekken.encode("<|im_end|>", parse_special=True) == [4]
    assert tekken.encode("<|im_end|>") == plain


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_text_survives_encoding_and_streaming(tekken: Tokenizer, text: str) -> None:
    ids = tekken.encode(text)
    assert tekken.decode(ids) == text
    stream = tekken.stream()
    assert "".join(map(stream.feed, ids)) + stream.finish() == text


@given(st.lists(st.integers(0, 699), max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_ids_stream_to_what_they_decode_to(tekken: Tokenizer, ids: list[int]) -> None:
    stream = tekken.stream()
    parts = [stream.feed(token) for token in ids]
    assert "".join(parts) + stream.finish() == tekken.decode(ids)


@given(st.binary(max_size=30), st.data())
@settings(max_examples=200, deadline=None)
def test_a_stream_emits_a_character_only_when_it_is_certain(raw: bytes, data: st.DataObject) -> None:
    """Every prefix of the output is a prefix of the final text, and nothing certain is held back longer than a byte."""
    stream = StreamDecoder(lambda byte: bytes([byte]))
    shown = ""
    for count, byte in enumerate(raw, 1):
        shown += stream.feed(byte)
        assert raw.decode("utf-8", "replace").startswith(shown)
        complete = raw[:count].decode("utf-8", "ignore")
        assert len(shown) >= len(complete)
    assert shown + stream.finish() == raw.decode("utf-8", "replace")


def test_half_a_character_waits_and_is_replaced_at_the_end(tekken: Tokenizer) -> None:
    family = "\U0001f469\u200d\U0001f467".encode()
    ids = [tekken.encode(BYTE_TO_LETTER[byte].encode().decode())[0] for byte in b"ok"]
    stream = StreamDecoder(lambda index: family[index : index + 1])
    assert [stream.feed(index) for index in range(3)] == ["", "", ""]
    assert stream.feed(3) == "\U0001f469"
    assert stream.feed(4) == ""
    assert stream.finish() == "\ufffd"
    assert stream.finish() == ""
    assert tekken.decode(ids) == "ok"


def test_a_lone_surrogate_is_named_with_its_position(tekken: Tokenizer) -> None:
    with pytest.raises(InputError, match=r"surrogate '\\ud83d' at position 3"):
        tekken.encode("abc\ud83d!")


def test_bytes_are_utf8_or_an_error_with_the_offset(tekken: Tokenizer) -> None:
    assert tekken.encode("caf\u00e9".encode()) == tekken.encode("caf\u00e9")
    with pytest.raises(InputError, match="byte 0xff at offset 2"):
        tekken.encode(b"ab\xff")


def test_bos_is_added_only_when_asked(tekken: Tokenizer, trained: Trained) -> None:
    assert tekken.encode("hi", add_bos=True) == [1, *tekken.encode("hi")]
    assert tekken.encode("", add_bos=True) == [1]
    with pytest.raises(InputError, match="add_bos"):
        Tokenizer(spec_from_json(trained["tekken"])).encode("hi", add_bos=True)


@pytest.mark.parametrize("token", [-1, 702, 10**12])
def test_an_id_without_a_token_is_an_error(tekken: Tokenizer, token: int) -> None:
    assert tekken.vocab_size == 702
    with pytest.raises(InputError, match=f"id {token}"):
        tekken.decode([5, token])


def test_end_ids_are_distinct_and_ordered(tekken: Tokenizer) -> None:
    assert tekken.eos_token_ids == (2, 4)


def test_every_byte_has_one_letter_and_back() -> None:
    assert sorted(BYTE_TO_LETTER) == list(range(256))
    assert all(LETTER_TO_BYTE[letter] == byte for byte, letter in BYTE_TO_LETTER.items())
    assert spelled_bytes("\u0120the") == b" the"
    assert spelled_bytes("\u2581x") == "\u2581x".encode()


def test_a_long_text_is_encoded_in_linear_time(tekken: Tokenizer) -> None:
    """White space, one letter, and one symbol, 200,000 times: the splitting must not backtrack its way to hours."""
    for letter in (" ", "a", "!", "\n", "1"):
        text = letter * 200_000
        assert tekken.decode(tekken.encode(text)) == text
