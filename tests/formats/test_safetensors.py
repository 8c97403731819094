"""Safetensors: agrees with the safetensors package, and refuses damage by name."""

import json
from struct import pack

import numpy as np
import pytest
import safetensors.numpy

from mambino.errors import FormatError, InputError, MambinoError, Unsupported
from mambino.formats.safetensors import open_safetensors, write_safetensors
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import TYPES


def document(header, body=b""):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return pack("<Q", len(encoded)) + encoded + body


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


DAMAGED = {
    "empty": (b"", "the file is empty"),
    "five bytes": (bytes(5), "expected at least 8 bytes, got 5"),
    "header longer than the file": (pack("<Q", 50) + b"{}", "header of 50 bytes does not fit"),
    "absurd header": (pack("<Q", 2**64 - 1) + b"{}", "header of 18446744073709551615 bytes"),
    "not JSON": (document(b"{nonsense"), "not valid JSON"),
    "not UTF-8": (document(b'{"\xff": 1}'), "not valid JSON"),
    "deep nesting": (document(b"[" * 100_000), "not valid JSON"),
    "a list": (document([]), "expected a JSON object, got list"),
    "name twice": (document(b'{"w": 1, "w": 2}'), "key 'w' appears twice"),
    "no dtype": (document({"w": {"shape": [1]}}), "tensor w: expected dtype, shape and data_offsets"),
    "number": (document({"w": 5}), "tensor w: expected dtype, shape and data_offsets, got 5"),
    "outside": (document({"w": entry()}, bytes(7)), r"tensor w: offsets \[0, 8\] lie outside the 7 bytes"),
    "reversed": (document({"w": entry(offsets=(8, 0))}, bytes(8)), "tensor w: offsets"),
    "negative": (document({"w": entry(offsets=(-8, 0))}, bytes(8)), "tensor w: offsets"),
    "real offsets": (document({"w": entry(offsets=(0.0, 8.0))}, bytes(8)), "tensor w: offsets"),
    "wrong size": (document({"w": entry(shape=(3,))}, bytes(8)), r"tensor w: F32 \[3\] does not take 8 bytes"),
    "too many bytes": (document({"w": entry(shape=(1,))}, bytes(8)), r"tensor w: F32 \[1\] does not take 8 bytes"),
    "absurd shape": (document({"w": entry(shape=(2**63, 2**63))}, bytes(8)), "tensor w: F32 .* does not take 8 bytes"),
    "zero size": (document({"w": entry(shape=(0, 5), offsets=(0, 0))}), "tensor w: expected a shape of positive"),
    "boolean shape": (document({"w": entry(shape=(True, 2))}, bytes(8)), "tensor w: expected a shape of positive"),
    "overlap": (document({"v": entry(), "w": entry(offsets=(4, 12))}, bytes(12)), "tensor w overlaps tensor v"),
    "same bytes": (document({"v": entry(), "w": entry()}, bytes(8)), "tensor w overlaps tensor v"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_refused_by_name(content, message, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        open_safetensors(tmp_path / "bad.safetensors")
    assert "bad.safetensors" in str(caught.value)


def test_an_unknown_type_is_named(tmp_path):
    (tmp_path / "f.safetensors").write_bytes(document({"w": entry("I64", (1,))}, bytes(8)))
    with pytest.raises(Unsupported, match="tensor w: data type 'I64'; supported types are F32, F16, BF16, F8_E4M3"):
        open_safetensors(tmp_path / "f.safetensors")


def test_a_file_of_the_safetensors_package_reads_the_same(tmp_path, rng):
    values = {"a": rng.standard_normal((3, 5)).astype(np.float32), "b": rng.standard_normal(7).astype(np.float16)}
    safetensors.numpy.save_file(values, tmp_path / "f.safetensors", {"format": "pt"})
    ours = open_safetensors(tmp_path / "f.safetensors")
    assert ours.keys() == values.keys()
    for name, tensor in ours.items():
        np.testing.assert_array_equal(tensor.to_float32(), values[name].astype(np.float32))
    assert not ours["a"].data.flags.writeable


def test_the_safetensors_package_reads_what_we_write(tmp_path, rng):
    tensors = [
        tensor_from_float32("f32", rng.standard_normal((3, 5)).astype(np.float32)),
        tensor_from_float32("f16", rng.standard_normal((2, 1, 3)).astype(np.float32), TYPES["F16"]),
        tensor_from_float32("scalar", np.array(4, np.float32)),
    ]
    write_safetensors(tmp_path / "f.safetensors", tensors, {"note": "x"})
    theirs = safetensors.numpy.load_file(tmp_path / "f.safetensors")
    assert {tensor.name for tensor in tensors} == theirs.keys()
    for tensor in tensors:
        assert theirs[tensor.name].shape == tensor.shape
        np.testing.assert_array_equal(theirs[tensor.name].astype(np.float32), tensor.to_float32())


def test_every_readable_type_is_written_and_read_back(tmp_path, rng):
    kinds = [TYPES[name] for name in ("F32", "F16", "BF16", "F8_E4M3")]
    raw = [rng.integers(0, 256, 6 * kind.block_nbytes, np.uint8) for kind in kinds]
    tensors = [
        Tensor(name=kind.name, type=kind, shape=(3, 2), data=data) for kind, data in zip(kinds, raw, strict=True)
    ]
    write_safetensors(tmp_path / "f.safetensors", tensors)
    for ours, back in zip(tensors, open_safetensors(tmp_path / "f.safetensors").values(), strict=True):
        assert (ours.name, ours.type, ours.shape) == (back.name, back.type, back.shape)
        np.testing.assert_array_equal(ours.data, back.data)


def test_what_the_format_cannot_hold_is_refused(tmp_path):
    quantised = Tensor(name="q", type=TYPES["Q8_0"], shape=(1, 32), data=np.zeros(34, np.uint8))
    ones = tensor_from_float32("w", np.ones(2, np.float32))
    with pytest.raises(Unsupported, match="tensor q: cannot hold Q8_0"):
        write_safetensors(tmp_path / "f", [quantised])
    with pytest.raises(InputError, match="tensor w: occurs twice"):
        write_safetensors(tmp_path / "f", [ones, ones])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def shards(tmp_path):
    """Two shards and their index, as transformers writes them."""
    for number, name in enumerate(("a", "b")):
        write_safetensors(tmp_path / f"part{number}.safetensors", [tensor_from_float32(name, np.float32([number]))])
    index = {"metadata": {"total_size": 8}, "weight_map": {"a": "part0.safetensors", "b": "part1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


def set_weight_map(folder, weight_map):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def test_shards_are_one_set_of_tensors(shards):
    assert {name: tensor.to_float32().tolist() for name, tensor in open_safetensors(shards).items()} == {
        "a": [0.0],
        "b": [1.0],
    }


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"a": "part0.safetensors", "c": "part0.safetensors"}, "the shards lack c"),
        ({"b": "part0.safetensors"}, "tensor a: the index does not place it here"),
        ({"a": "part7.safetensors"}, "part7.safetensors: cannot be read: No such file"),
        ({"a": "../part0.safetensors"}, "is not the name of a file beside the index"),
        ({"a": "/etc/passwd"}, "is not the name of a file beside the index"),
        ({"a": 3}, "expected weight_map to map tensor names to file names"),
        (None, "expected weight_map"),
    ],
)
def test_an_index_that_does_not_match_is_refused(weight_map, message, shards):
    set_weight_map(shards, weight_map)
    with pytest.raises(FormatError, match=message):
        open_safetensors(shards)


def test_a_directory_without_weights_says_what_to_do(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(FormatError, match="convert them to safetensors"):
        open_safetensors(tmp_path)


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(MambinoError, match="cannot be read: No such file"):
        open_safetensors(tmp_path / "no.safetensors")
