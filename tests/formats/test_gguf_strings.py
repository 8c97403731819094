"""Arrays of strings: found fast, decoded late."""

from struct import pack

import numpy as np
import pytest

from mambino.errors import FormatError
from mambino.formats.gguf_strings import StringArray, encode_string, strings_end


def as_bytes(strings):
    return np.frombuffer(b"".join(encode_string(text) for text in strings), np.uint8)


def stepped_end(data, at, count):
    """The definition: length by length."""
    for _ in range(count):
        at += 8 + int.from_bytes(data[at : at + 8].tobytes(), "little")
    return at


VOCABULARIES = {
    "none": [],
    "one": ["a"],
    "empty strings": [""] * 5000,
    "short": [f"token{i}" for i in range(30_000)],
    "a long one in the middle": ["x"] * 20_000 + ["y" * 70_000] + ["z"] * 20_000,
    "lengths 0 to 300": ["q" * (i % 301) for i in range(6000)],
    "zero bytes inside": ["a\0\0\0\0\0\0\0\0b", "\0" * 20] * 3000,
    "strings that look like lengths": ["\x05" + "\0" * 7, "\x01" + "\0" * 7 + "\x01"] * 3000,
}


@pytest.mark.parametrize("strings", VOCABULARIES.values(), ids=VOCABULARIES.keys())
@pytest.mark.parametrize("at", [0, 3])
def test_the_end_is_where_stepping_ends(strings, at):
    data = np.concatenate([np.zeros(at, np.uint8), as_bytes(strings), np.zeros(40, np.uint8)])
    assert strings_end(data, at, len(strings)) == stepped_end(data, at, len(strings))


@pytest.mark.parametrize("missing", [1, 7, 8, 9, 100_000])
def test_strings_that_pass_the_end_of_the_file_end_beyond_it(missing):
    data = as_bytes([f"token{i}" for i in range(30_000)])[:-missing]
    assert strings_end(data, 0, 30_000) > data.size


def test_an_absurd_length_ends_beyond_the_file():
    data = np.frombuffer(pack("<Q", 2**64 - 1) + bytes(100), np.uint8)
    assert strings_end(data, 0, 1) > data.size


def test_strings_are_decoded_once_and_only_when_asked_for():
    array = StringArray(as_bytes(["Hello", "", "\u00fc\U0001f600"]), 3, "here")
    assert len(array) == 3
    assert list(array) == ["Hello", "", "\u00fc\U0001f600"]
    assert array[2] == "\u00fc\U0001f600"
    assert array[:2] == ["Hello", ""]
    assert array.to_list() is array.to_list()


@pytest.mark.parametrize("strings", VOCABULARIES.values(), ids=VOCABULARIES.keys())
def test_every_string_comes_back(strings):
    assert StringArray(as_bytes(strings), len(strings), "here").to_list() == strings


def test_a_string_that_is_not_utf8_is_named():
    raw = np.frombuffer(encode_string("ok") + pack("<Q", 1) + b"\xff", np.uint8)
    with pytest.raises(FormatError, match=r"here\[1\]: not UTF-8"):
        StringArray(raw, 2, "here").to_list()


def test_a_lone_surrogate_cannot_be_written():
    with pytest.raises(FormatError, match="lone surrogates"):
        encode_string("\ud800")
