"""The GGUF reader: what it reads, and what it refuses and how it says so."""

from struct import pack

import gguf
import numpy as np
import pytest

import gguf_bytes as raw
from mambino.errors import FormatError, MambinoError, Unsupported
from mambino.formats.gguf_read import open_gguf

DAMAGED = {
    "empty": (b"", "the file is empty"),
    "not a GGUF": (b"PK\x03\x04" + bytes(100), r"expected the magic b'GGUF', got b'PK"),
    "header cut": (raw.file()[:20], "metadata count: needs 8 bytes"),
    "absurd tensor count": (raw.file(num_tensors=2**63), "claims 9223372036854775808 tensors"),
    "absurd key count": (raw.file(num_keys=2**64 - 1), "claims 18446744073709551615 metadata keys"),
    "keys missing": (raw.file(num_keys=3), "type of key : needs 4 bytes at 32"),
    "key too long": (raw.file([pack("<Q", 2**40)]), "a string of 1099511627776 bytes"),
    "key not UTF-8": (raw.file([raw.key(b"\xff\xfe", 4, bytes(4))]), "metadata key at byte 24: not UTF-8"),
    "value not UTF-8": (raw.file([raw.key("a.b", 8, raw.string(b"\xff"))]), "key a.b: not UTF-8"),
    "string too long": (raw.file([raw.key("a.b", 8, pack("<Q", 2**62))]), "key a.b: a string of"),
    "key twice": (raw.file([raw.key("a.b", 4, bytes(4))] * 2), "key a.b: appears twice"),
    "unknown type": (raw.file([raw.key("a.b", 13, bytes(8))]), "key a.b: unknown value type 13"),
    "unknown element": (raw.file([raw.key("a.b", 9, pack("<IQ", 99, 1))]), "key a.b: unknown element type 99"),
    "bool of 2": (raw.file([raw.key("a.b", 7, b"\x02")]), "key a.b: expected a bool of 0 or 1, got 2"),
    "bools of 2": (raw.file([raw.key("a.b", 9, pack("<IQ", 7, 2) + b"\x01\x02")]), "key a.b: expected bools"),
    "array too long": (raw.file([raw.key("a.b", 9, pack("<IQ", 12, 2**61))]), "key a.b: needs 18446744073709551616"),
    "strings too many": (raw.file([raw.key("a.b", 9, pack("<IQ", 8, 2**60))]), "key a.b: claims 1152921504606846976"),
    "strings cut": (raw.file([raw.key("a.b", 9, pack("<IQQ", 8, 1, 2**64 - 1))]), "key a.b: needs"),
    "alignment 0": (raw.file([raw.key("general.alignment", 4, pack("<I", 0))]), "expected a power of two, got 0"),
    "alignment 48": (raw.file([raw.key("general.alignment", 4, pack("<I", 48))]), "expected a power of two, got 48"),
    "alignment text": (
        raw.file([raw.key("general.alignment", 8, raw.string("x"))]),
        "expected a power of two, got 'x'",
    ),
    "no dimensions": (raw.file(infos=[raw.info("w", [])]), "tensor w: expected 1 to 4 dimensions, got 0"),
    "five dimensions": (raw.file(infos=[raw.info("w", [1] * 5)]), "tensor w: expected 1 to 4 dimensions, got 5"),
    "absurd dimensions": (raw.file(infos=[string[:-20] for string in [raw.info("w", [1] * 4)]]), "tensor w: needs"),
    "no elements": (raw.file(infos=[raw.info("w", [4, 0])]), r"tensor w: has no elements, shape \(0, 4\)"),
    "size overflows": (
        raw.file(infos=[raw.info("w", [2**63, 2**63, 2])], data=bytes(64)),
        r"tensor w: needs bytes up to 680564733841876926926749214863536423008",
    ),
    "ragged blocks": (
        raw.file(infos=[raw.info("w", [33], 8)], data=bytes(64)),
        "tensor w: rows of 33 are not whole Q8_0 blocks",
    ),
    "outside": (raw.file(infos=[raw.info("w", [8], 0, 64)], data=bytes(64)), "tensor w: needs bytes up to"),
    "outside by one": (raw.file(infos=[raw.info("w", [17])], data=bytes(67)), "tensor w: needs bytes up to"),
    "absurd offset": (raw.file(infos=[raw.info("w", [8], 0, 2**63)], data=bytes(64)), "tensor w: needs bytes up to"),
    "misaligned": (raw.file(infos=[raw.info("w", [1], 0, 4)], data=bytes(64)), "tensor w: offset 4 is not a multiple"),
    "overlap": (
        raw.file(infos=[raw.info("v", [16]), raw.info("w", [8], 0, 32)], data=bytes(64)),
        "tensor w: overlaps tensor v",
    ),
    "tensor twice": (
        raw.file(infos=[raw.info("w", [8]), raw.info("w", [8], 0, 32)], data=bytes(64)),
        "tensor w: appears twice",
    ),
}
FOREIGN = {
    "version 1": (raw.file(version=1), "GGUF version 1"),
    "version 4": (raw.file(version=4), "GGUF version 4"),
    "big endian": (raw.file(version=3 << 24), "big endian"),
    "Q2_K": (
        raw.file(infos=[raw.info("blk.0.w", [256], 10)], data=bytes(96)),
        r"tensor blk.0.w: Q2_K \(GGML type 10\)",
    ),
    "unknown type": (raw.file(infos=[raw.info("w", [256], 77)]), "tensor w: unknown GGML type 77"),
    "nested": (raw.file([raw.key("a.b", 9, pack("<IQ", 9, 1))]), "key a.b: arrays of arrays"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_refused_by_name(content, message, tmp_path):
    (tmp_path / "bad.gguf").write_bytes(content)
    with pytest.raises(FormatError, match=message) as caught:
        open_gguf(tmp_path / "bad.gguf")
    assert "bad.gguf" in str(caught.value)


@pytest.mark.parametrize(("content", "message"), FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_valid_but_not_read_is_refused_by_name(content, message, tmp_path):
    (tmp_path / "other.gguf").write_bytes(content)
    with pytest.raises(Unsupported, match=message):
        open_gguf(tmp_path / "other.gguf")


@pytest.mark.parametrize("path", ["missing.gguf", ".", "a\0b", "x" * 5000])
def test_a_path_that_is_not_a_file_is_refused(path, tmp_path):
    with pytest.raises(MambinoError, match="cannot be read"):
        open_gguf(tmp_path / path)


def test_every_value_type_is_read(tmp_path):
    keys = [
        raw.key("u8", 0, pack("<B", 200)), raw.key("i8", 1, pack("<b", -3)), raw.key("u16", 2, pack("<H", 60000)),
        raw.key("i16", 3, pack("<h", -300)), raw.key("u32", 4, pack("<I", 2**32 - 1)),
        raw.key("i32", 5, pack("<i", -9)), raw.key("f32", 6, pack("<f", 0.5)), raw.key("yes", 7, b"\x01"),
        raw.key("text", 8, raw.string("\u00fc")),
        raw.key("u64", 10, pack("<Q", 2**64 - 1)), raw.key("i64", 11, pack("<q", -(2**63))),
        raw.key("f64", 12, pack("<d", 0.1)), raw.key("ints", 9, pack("<IQ3i", 5, 3, -1, 0, 7)),
        raw.key("bools", 9, pack("<IQ2B", 7, 2, 1, 0)), raw.key("none", 9, pack("<IQ", 4, 0)),
        raw.key("words", 9, pack("<IQ", 8, 2) + raw.string("a") + raw.string("")),
    ]  # fmt: skip
    (tmp_path / "m.gguf").write_bytes(raw.file(keys, version=2))
    metadata = open_gguf(tmp_path / "m.gguf").metadata
    scalars = {"u8": 200, "i8": -3, "u16": 60000, "i16": -300, "u32": 2**32 - 1, "i32": -9, "f32": 0.5, "yes": True,
               "text": "\u00fc", "u64": 2**64 - 1, "i64": -(2**63), "f64": 0.1}  # fmt: skip
    assert {name: metadata[name] for name in scalars} == scalars
    assert metadata["yes"] is True
    arrays = {"ints": [-1, 0, 7], "bools": [True, False], "none": [], "words": ["a", ""]}
    assert {name: list(metadata[name]) for name in arrays} == arrays


def test_tensors_are_read_only_views_in_torch_order(tmp_path):
    values = np.arange(6, dtype="<f4")
    infos = [raw.info("second", [3], 0, 32), raw.info("first", [3, 2])]
    (tmp_path / "t.gguf").write_bytes(raw.file(infos=infos, data=values.tobytes() + bytes(8) + values[:3].tobytes()))
    tensors = open_gguf(tmp_path / "t.gguf").tensors
    assert list(tensors) == ["second", "first"]
    np.testing.assert_array_equal(tensors["first"].to_float32(), [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(tensors["second"].to_float32(), [0, 1, 2])
    assert not tensors["first"].data.flags.writeable


def test_another_alignment_is_honoured(tmp_path):
    alignment = raw.key("general.alignment", 4, pack("<I", 64))
    content = raw.file([alignment], [raw.info("w", [2], 0, 64)], bytes(64) + pack("<2f", 1, 2), alignment=64)
    (tmp_path / "a.gguf").write_bytes(content)
    assert open_gguf(tmp_path / "a.gguf").tensors["w"].to_float32().tolist() == [1, 2]


def test_a_file_of_the_gguf_package_reads_the_same(tmp_path, rng):
    path = tmp_path / "theirs.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(7)
    writer.add_token_list(["<s>", "\u0120a", ""])
    writer.add_token_scores([0.5, -1.0, 0.0])
    writer.add_add_bos_token(True)
    values = rng.standard_normal((3, 64)).astype(np.float32)
    writer.add_tensor("w", values)
    blocks = rng.integers(0, 256, (3, 2 * 22), dtype=np.uint8)
    writer.add_tensor("q", blocks, raw_dtype=gguf.GGMLQuantizationType.Q5_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    opened = open_gguf(path)
    assert opened.metadata["llama.block_count"] == 7
    assert list(opened.metadata["tokenizer.ggml.tokens"]) == ["<s>", "\u0120a", ""]
    assert opened.metadata["tokenizer.ggml.scores"].tolist() == [0.5, -1.0, 0.0]
    assert opened.metadata["tokenizer.ggml.add_bos_token"] is True
    np.testing.assert_array_equal(opened.tensors["w"].to_float32(), values)
    assert (opened.tensors["q"].shape, opened.tensors["q"].type.name) == ((3, 64), "Q5_0")
    np.testing.assert_array_equal(opened.tensors["q"].raw_rows, blocks)
