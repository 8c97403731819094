"""Thousands of damaged GGUF and safetensors files: each opens or raises MambinoError, quickly and in little memory."""

import time
import tracemalloc
from struct import pack_into

import numpy as np
import pytest

from mambino.formats.checkpoint import open_checkpoint
from mambino.formats.gguf_config import write_gguf_metadata
from mambino.formats.gguf_read import open_gguf
from mambino.formats.gguf_strings import StringArray
from mambino.formats.gguf_write import write_gguf
from mambino.formats.names import rows
from mambino.formats.safetensors import open_safetensors, write_safetensors
from refusals import refusal
from tiny_models import tiny_hybrid_config, tiny_weights

# A damaged file may not cost more than a whole one (a few hundred KiB); the bound leaves room for error messages.
MAX_NBYTES = 1 << 23
MAX_S = 1.0  # a whole file opens in a few ms; a loop over an absurd count would take hours

ABSURD = [0, 1, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
CASES = [100, pytest.param(5000, marks=pytest.mark.slow)]  # of each damage and format: thousands in all


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(GGUF bytes, safetensors bytes) of one tiny model, the first with a small vocabulary."""
    folder = tmp_path_factory.mktemp("whole")
    config = tiny_hybrid_config()
    weights = tiny_weights(config)
    stored = [row.transform.to_gguf(weights[row.own]).renamed(row.gguf) for row in rows(config)]
    tokens = {"tokenizer.ggml.tokens": [f"token{i}" for i in range(101)], "tokenizer.ggml.scores": [0.5] * 101}
    write_gguf(folder / "m.gguf", write_gguf_metadata(config) | tokens, stored)
    write_safetensors(folder / "m.safetensors", [weights[row.own].renamed(row.hf) for row in rows(config)])
    return (folder / "m.gguf").read_bytes(), (folder / "m.safetensors").read_bytes()


def truncated(whole, header, rng):
    return whole[: rng.integers(0, header) if rng.random() < 0.7 else rng.integers(0, len(whole))]


def flipped(whole, header, rng):
    damaged = bytearray(whole)
    for _ in range(int(rng.integers(1, 9))):
        damaged[rng.integers(0, header)] ^= 1 << int(rng.integers(0, 8))
    return bytes(damaged)


def with_absurd_number(whole, header, rng):
    damaged = bytearray(whole)
    number = ABSURD[rng.integers(0, len(ABSURD))]
    at = int(rng.integers(4, header - 8))
    is_wide = number >= 2**32 or rng.random() < 0.5
    pack_into("<Q" if is_wide else "<I", damaged, at, number)
    return bytes(damaged)


def spliced(whole, header, rng):
    """A piece of the header moved elsewhere."""
    start, length, to = (int(value) for value in rng.integers(0, header, 3))
    return whole[:to] + whole[start : start + length % 64] + whole[to:]


def survives(open_file, content, path):
    """Whether the file opened; fails the test on any other exception, on slowness, and on large allocations."""
    path.write_bytes(content)
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    start = time.perf_counter()
    opened = not refusal(open_file, path)
    assert time.perf_counter() - start < MAX_S
    assert tracemalloc.get_traced_memory()[1] - before < MAX_NBYTES
    return opened


def open_whole_gguf(path):
    """The header, every string, every checked value, and the model in both forms."""
    for value in open_gguf(path).metadata.values():
        if isinstance(value, StringArray):
            value.to_list()
    checkpoint = open_checkpoint(path)
    for tensor in checkpoint.tensors("hf").values():
        tensor.require_finite()


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("num_cases", CASES)
@pytest.mark.parametrize("damage", [truncated, flipped, with_absurd_number, spliced])
def test_a_damaged_gguf_opens_or_is_refused(damage, num_cases, files, tmp_path, rng, traced):
    whole, _ = files
    header = whole.index(b"output_norm.weight") + 60  # metadata, and the start of the tensor directory
    directory_end = whole.rindex(b"blk.") + 60
    assert survives(open_whole_gguf, whole, tmp_path / "whole.gguf")
    opened = 0
    for case in range(num_cases):
        span = header if case % 2 else directory_end
        opened += survives(open_whole_gguf, damage(whole, span, rng), tmp_path / "damaged.gguf")
    assert opened < num_cases * 0.9, "the damage is too mild to test anything"


@pytest.mark.parametrize("num_cases", CASES)
@pytest.mark.parametrize("damage", [truncated, flipped, with_absurd_number, spliced])
def test_a_damaged_safetensors_file_opens_or_is_refused(damage, num_cases, files, tmp_path, rng, traced):
    _, whole = files
    header = 8 + int.from_bytes(whole[:8], "little")
    assert survives(open_safetensors, whole, tmp_path / "whole.safetensors")
    opened = sum(
        survives(open_safetensors, damage(whole, header, rng), tmp_path / "damaged.safetensors")
        for _ in range(num_cases)
    )
    assert opened < num_cases * 0.9, "the damage is too mild to test anything"


@pytest.mark.parametrize("length", ABSURD)
def test_every_absurd_safetensors_header_length_is_refused(length, files, tmp_path):
    _, whole = files
    damaged = bytearray(whole)
    pack_into("<Q", damaged, 0, length)
    assert not survives(open_safetensors, bytes(damaged), tmp_path / "damaged.safetensors")


def test_random_bytes_are_refused(tmp_path, rng):
    for size in (1, 4, 24, 1000):
        noise = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
        assert not survives(open_gguf, noise, tmp_path / "noise")
        assert not survives(open_gguf, b"GGUF\x03\0\0\0" + noise, tmp_path / "noise")
        assert not survives(open_safetensors, noise, tmp_path / "noise")
