"""The GGUF writer: read back by us and by the gguf package; atomic; refuses what the format cannot hold."""

import errno
import os
from struct import pack

import gguf
import numpy as np
import pytest

import gguf_bytes as raw
from mambino.errors import FormatError, InputError, MambinoError, Unsupported
from mambino.formats.gguf_read import open_gguf
from mambino.formats.gguf_write import TensorEntry, gguf_writer, write_gguf
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import TYPES

METADATA = {
    "general.architecture": "nemotron_h",
    "a.zero": 0, "a.large": 2**32 - 1, "a.negative": -5, "a.larger": 2**40, "a.lowest": -(2**40), "a.real": 0.25,
    "a.yes": True, "a.no": False, "a.text": "\u00fc\n", "a.empty": "",
    "a.u32s": [0, 7], "a.i32s": [-1, 7], "a.reals": [0.5, 1.0], "a.words": ["x", "", "\U0001f600"],
    "a.bools": [True, False],     "a.u8": np.uint8(3), "a.f64": np.float64(0.1),
    "a.i64s": np.array([1, -2], np.int64), "a.none": np.zeros(0, np.int32),
}  # fmt: skip


def some_tensors(rng):
    blocks = rng.integers(0, 256, 3 * TYPES["Q5_0"].row_nbytes(64), dtype=np.uint8)
    return [
        tensor_from_float32("w", rng.standard_normal((2, 3, 5)).astype(np.float32)),
        tensor_from_float32("h", rng.standard_normal((7,)).astype(np.float32), TYPES["BF16"]),
        Tensor(name="q", type=TYPES["Q5_0"], shape=(3, 64), data=blocks),
        tensor_from_float32("d", rng.standard_normal((4, 1)).astype(np.float32)),
    ]


def plain(value):
    """The value in Python's own types, whatever held it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return value if np.isscalar(value) else list(value)


def test_what_is_written_is_read_back(tmp_path, rng):
    tensors = some_tensors(rng)
    write_gguf(tmp_path / "t.gguf", METADATA, tensors)
    opened = open_gguf(tmp_path / "t.gguf")
    assert {key: plain(value) for key, value in opened.metadata.items()} == {k: plain(v) for k, v in METADATA.items()}
    for ours, theirs in zip(tensors, opened.tensors.values(), strict=True):
        assert (ours.name, ours.type, ours.shape) == (theirs.name, theirs.type, theirs.shape)
        np.testing.assert_array_equal(ours.data, theirs.data)


def test_the_gguf_package_reads_the_same(tmp_path, rng):
    tensors = some_tensors(rng)
    write_gguf(tmp_path / "t.gguf", METADATA, tensors)
    reader = gguf.GGUFReader(tmp_path / "t.gguf")
    theirs = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    assert {key: plain(value) for key, value in theirs.items()} == {k: plain(v) for k, v in METADATA.items()}
    for ours, other in zip(tensors, reader.tensors, strict=True):
        assert (ours.name, ours.type.name) == (other.name, other.tensor_type.name)
        assert ours.shape == tuple(int(dim) for dim in reversed(other.shape))
        np.testing.assert_array_equal(np.asarray(other.data).reshape(-1).view(np.uint8), ours.data)


def test_integers_take_the_type_that_llama_cpp_asks_for(tmp_path):
    write_gguf(tmp_path / "t.gguf", METADATA, [])
    fields = gguf.GGUFReader(tmp_path / "t.gguf").fields
    kinds = {"a.zero": "UINT32", "a.large": "UINT32", "a.negative": "INT32", "a.larger": "UINT64", "a.lowest": "INT64",
             "a.real": "FLOAT32", "a.yes": "BOOL", "a.u8": "UINT8", "a.f64": "FLOAT64"}  # fmt: skip
    assert {key: fields[key].types[0].name for key in kinds} == kinds


def test_rewriting_a_file_changes_no_byte(tmp_path, rng):
    write_gguf(tmp_path / "a.gguf", METADATA | {"a.u8": 3, "a.f64": 0.5}, some_tensors(rng))
    opened = open_gguf(tmp_path / "a.gguf")
    write_gguf(tmp_path / "b.gguf", opened.metadata, opened.tensors.values())
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_a_minimal_file_is_the_bytes_of_the_specification(tmp_path):
    write_gguf(tmp_path / "t.gguf", {"k.v": 7}, [tensor_from_float32("w", np.float32([[1, 2]]))])
    key, info = raw.key("k.v", 4, pack("<I", 7)), raw.info("w", [2, 1])
    assert (tmp_path / "t.gguf").read_bytes() == raw.file([key], [info], pack("<2f", 1, 2) + bytes(24))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "expected values of one type"),
        ([1, "x"], "expected values of one type"),
        ([1, 2.0], "expected values of one type"),
        ([True, 2], "expected values of one type"),
        (2**64, "expected values of one type"),
        ([-1, 2**63], "expected values of one type"),
        (None, "cannot hold a NoneType"),
        ({"a": 1}, "cannot hold a dict"),
        (np.zeros((2, 2), np.float32), "cannot hold an array of float32"),
        (np.zeros(2, np.complex64), "cannot hold an array of complex64"),
        ("\ud800", "lone surrogates"),
        (1e300, "does not fit a float32"),
    ],
)
def test_metadata_that_gguf_cannot_hold_is_refused(value, message, tmp_path):
    with pytest.raises(MambinoError, match=message):
        write_gguf(tmp_path / "t.gguf", {"a.b": value}, [])
    assert list(tmp_path.iterdir()) == []


def test_tensors_that_gguf_cannot_hold_are_refused(tmp_path):
    ones = tensor_from_float32("w", np.ones((1, 2), np.float32))
    float8 = Tensor(name="w", type=TYPES["F8_E4M3"], shape=(1,), data=np.zeros(1, np.uint8))
    scaled = Tensor(name="w", type=TYPES["F32"], shape=(1,), data=np.zeros(4, np.uint8), scale=np.float32([2]))
    for tensors, error, message in [
        ([ones, ones], InputError, "tensor w: occurs twice"),
        ([tensor_from_float32("s", np.array(1, np.float32))], InputError, "tensor s: .* has 0 dimensions"),
        ([float8], Unsupported, "tensor w: GGUF has no type F8_E4M3"),
        ([scaled], InputError, "tensor w: carries a scale"),
    ]:
        with pytest.raises(error, match=message):
            write_gguf(tmp_path / "t.gguf", {}, tensors)
    assert list(tmp_path.iterdir()) == []


def test_streaming_wants_the_announced_tensors_in_order(tmp_path):
    first, second = (tensor_from_float32(name, np.ones((1, 2), np.float32)) for name in "ab")
    entries = [TensorEntry(name=name, type=TYPES["F32"], shape=(1, 2)) for name in "ab"]
    with pytest.raises(InputError, match="expected tensor"), gguf_writer(tmp_path / "t", {}, entries) as writer:
        writer.write(second)
    with (
        pytest.raises(InputError, match="tensor b: announced, but never"),
        gguf_writer(tmp_path / "t", {}, entries) as w,
    ):
        w.write(first)
    with pytest.raises(InputError, match="more tensors than announced"), gguf_writer(tmp_path / "t", {}, []) as writer:
        writer.write(first)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "t.gguf"
    path.write_bytes(b"old")
    entries = [TensorEntry(name="a", type=TYPES["F32"], shape=(1, 2))]
    with pytest.raises(InputError), gguf_writer(path, {}, entries):
        pass
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_space_left_is_a_clear_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FormatError, match=r"t\.gguf: cannot be written: No space left on device"):
        write_gguf(tmp_path / "t.gguf", {}, [])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_a_clear_error(tmp_path):
    with pytest.raises(FormatError, match="cannot be written: No such file or directory"):
        write_gguf(tmp_path / "no" / "t.gguf", {}, [])
