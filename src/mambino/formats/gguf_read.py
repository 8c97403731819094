"""Open a GGUF file: metadata, tensor directory, and tensors as views of the mapped file.

Every count, length, offset and size in the file is checked, as a Python integer, before it is used; nothing is copied
or allocated by a number that the file has not got the bytes for. Knows no model. Start at open_gguf.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError, Unsupported
from mambino.formats.gguf_strings import StringArray, strings_end
from mambino.formats.gguf_types import (
    ARRAY,
    ARRAY_DTYPES,
    BOOL,
    DEFAULT_ALIGNMENT,
    MAGIC,
    MAX_DIMENSIONS,
    MAX_ENTRIES,
    MAX_NAME_NBYTES,
    MAX_STRING_NBYTES,
    STRING,
    U32,
    U64,
    VALUE_STRUCTS,
)
from mambino.formats.mapped import map_file
from mambino.formats.tensor import Tensor
from mambino.quant.types import QuantType, type_by_ggml_id


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GgufFile:
    """An open file. Metadata values are int, float, bool, str, NumPy arrays (read-only views) and StringArray."""

    path: Path
    metadata: Mapping[str, object]
    tensors: dict[str, Tensor]


def open_gguf(path: Path | str) -> GgufFile:
    """Map path and read its header.

    Raises     FormatError for a file that breaks the format, naming the key or tensor; Unsupported for valid files
               that mambino does not read: versions other than 2 and 3, big endian, unknown tensor types
    Pinned by  tests/formats/test_gguf_fuzz.py
    """
    path = Path(path)
    cursor = _Cursor(map_file(path), path)
    num_tensors, num_keys = _read_preamble(cursor)
    metadata: dict[str, object] = {}
    for _ in range(num_keys):
        key = cursor.name("metadata key")
        if key in metadata:
            raise cursor.fault(f"key {key}: appears twice")
        metadata[key] = _read_value(cursor, key)
    entries = _read_directory(cursor, num_tensors)
    data_start = _align(cursor.at, _alignment(cursor, metadata))
    tensors = _place_tensors(cursor, entries, data_start, _alignment(cursor, metadata))
    return GgufFile(path=path, metadata=MappingProxyType(metadata), tensors=tensors)


class _Cursor:
    """Reads forward through the header; every step is checked against the end of the file."""

    def __init__(self, data: NDArray[np.uint8], path: Path) -> None:
        self.data = data
        self.buffer = data.data
        self.size = len(data)
        self.path = path
        self.at = 0

    def fault(self, what: str) -> FormatError:
        return FormatError(f"[gguf] {self.path}: {what}; the file is damaged or not a GGUF, fetch or export it again")

    def take(self, nbytes: int, what: str) -> int:
        """Step over nbytes and return where they begin."""
        start = self.at
        if nbytes > self.size - start:
            raise self.fault(f"{what}: needs {nbytes} bytes at {start}, but the file ends at {self.size}")
        self.at = start + nbytes
        return start

    def u32(self, what: str) -> int:
        return int(U32.unpack_from(self.buffer, self.take(4, what))[0])

    def u64(self, what: str) -> int:
        return int(U64.unpack_from(self.buffer, self.take(8, what))[0])

    def text(self, what: str, limit: int) -> str:
        length = self.u64(what)
        if length > limit:
            raise self.fault(f"{what}: a string of {length} bytes (limit {limit})")
        start = self.take(length, what)
        try:
            return str(self.buffer[start : start + length], "utf-8")
        except UnicodeDecodeError as error:
            raise self.fault(f"{what}: not UTF-8 ({error.reason} at byte {error.start})") from None

    def name(self, what: str) -> str:
        return self.text(f"{what} at byte {self.at}", MAX_NAME_NBYTES)


def _read_preamble(cursor: _Cursor) -> tuple[int, int]:
    """(number of tensors, number of metadata keys)."""
    start = cursor.take(4, "magic")
    magic = bytes(cursor.buffer[start : start + 4])
    if magic != MAGIC:
        raise cursor.fault(f"expected the magic {MAGIC!r}, got {magic!r}")
    version = cursor.u32("version")
    if version in (2 << 24, 3 << 24):
        raise Unsupported(f"[gguf] {cursor.path}: the file is big endian; convert it to little endian")
    if version not in (2, 3):
        raise Unsupported(f"[gguf] {cursor.path}: GGUF version {version}; supported versions are 2 and 3")
    num_tensors, num_keys = cursor.u64("tensor count"), cursor.u64("metadata count")
    for count, what in ((num_tensors, "tensors"), (num_keys, "metadata keys")):
        if count > MAX_ENTRIES:
            raise cursor.fault(f"claims {count} {what} (limit {MAX_ENTRIES})")
    return num_tensors, num_keys


def _read_value(cursor: _Cursor, key: str) -> object:
    kind = cursor.u32(f"type of key {key}")
    if kind == STRING:
        return cursor.text(f"key {key}", MAX_STRING_NBYTES)
    if kind == ARRAY:
        return _read_array(cursor, key)
    scalar = VALUE_STRUCTS.get(kind)
    if scalar is None:
        raise cursor.fault(f"key {key}: unknown value type {kind}")
    value: int | float = scalar.unpack_from(cursor.buffer, cursor.take(scalar.size, f"key {key}"))[0]
    if kind != BOOL:
        return value
    if value not in (0, 1):
        raise cursor.fault(f"key {key}: expected a bool of 0 or 1, got {value}")
    return bool(value)


def _read_array(cursor: _Cursor, key: str) -> object:
    kind, count = cursor.u32(f"element type of key {key}"), cursor.u64(f"length of key {key}")
    if kind == STRING:
        return _read_strings(cursor, key, count)
    if kind == ARRAY:
        raise Unsupported(f"[gguf] {cursor.path}: key {key}: arrays of arrays are not supported")
    if kind not in ARRAY_DTYPES:
        raise cursor.fault(f"key {key}: unknown element type {kind}")
    dtype = np.dtype(ARRAY_DTYPES[kind])
    start = cursor.take(count * dtype.itemsize, f"key {key}")
    raw = cursor.data[start : cursor.at]
    if kind == BOOL and (raw > 1).any():
        raise cursor.fault(f"key {key}: expected bools of 0 or 1")
    return raw.view(dtype)


def _read_strings(cursor: _Cursor, key: str, count: int) -> StringArray:
    if count > (cursor.size - cursor.at) // 8:
        raise cursor.fault(f"key {key}: claims {count} strings, more than the file has bytes for")
    start = cursor.take(strings_end(cursor.data, cursor.at, count) - cursor.at, f"key {key}")
    return StringArray(cursor.data[start : cursor.at], count, f"[gguf] {cursor.path}: key {key}")


def _alignment(cursor: _Cursor, metadata: Mapping[str, object]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise cursor.fault(f"key general.alignment: expected a power of two, got {alignment!r}")
    return alignment


def _align(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One line of the tensor directory; offset counts from the start of the data section."""

    name: str
    type: QuantType
    shape: tuple[int, ...]
    offset: int
    nbytes: int


def _read_directory(cursor: _Cursor, num_tensors: int) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for _ in range(num_tensors):
        entry = _read_entry(cursor)
        if entry.name in entries:
            raise cursor.fault(f"tensor {entry.name}: appears twice")
        entries[entry.name] = entry
    return entries


def _read_entry(cursor: _Cursor) -> _Entry:
    name = cursor.name("tensor name")
    num_dims = cursor.u32(f"tensor {name}")
    if not 1 <= num_dims <= MAX_DIMENSIONS:
        raise cursor.fault(f"tensor {name}: expected 1 to {MAX_DIMENSIONS} dimensions, got {num_dims}")
    shape = tuple(reversed([cursor.u64(f"tensor {name}") for _ in range(num_dims)]))
    type_id, offset = cursor.u32(f"tensor {name}"), cursor.u64(f"tensor {name}")
    if 0 in shape:
        raise cursor.fault(f"tensor {name}: has no elements, shape {shape}")
    try:
        quant_type = type_by_ggml_id(type_id)
    except Unsupported as error:
        raise Unsupported(f"[gguf] {cursor.path}: tensor {name}: {error}") from None
    if shape[-1] % quant_type.block_size:
        raise cursor.fault(f"tensor {name}: rows of {shape[-1]} are not whole {quant_type.name} blocks")
    nbytes = prod(shape[:-1]) * quant_type.row_nbytes(shape[-1])
    return _Entry(name=name, type=quant_type, shape=shape, offset=offset, nbytes=nbytes)


def _place_tensors(cursor: _Cursor, entries: dict[str, _Entry], data_start: int, alignment: int) -> dict[str, Tensor]:
    """Views of the data section, after checking that each lies inside the file and no two overlap."""
    _require_disjoint(cursor, entries, data_start, alignment)
    tensors: dict[str, Tensor] = {}
    for name, entry in entries.items():
        start = data_start + entry.offset
        data = cursor.data[start : start + entry.nbytes]
        tensors[name] = Tensor(name=name, type=entry.type, shape=entry.shape, data=data)
    return tensors


def _require_disjoint(cursor: _Cursor, entries: dict[str, _Entry], data_start: int, alignment: int) -> None:
    end, previous = 0, ""
    for entry in sorted(entries.values(), key=lambda entry: entry.offset):
        if entry.offset % alignment:
            raise cursor.fault(f"tensor {entry.name}: offset {entry.offset} is not a multiple of {alignment}")
        if entry.offset < end:
            raise cursor.fault(f"tensor {entry.name}: overlaps tensor {previous}")
        end, previous = entry.offset + entry.nbytes, entry.name
        if data_start + end > cursor.size:
            raise cursor.fault(
                f"tensor {entry.name}: needs bytes up to {data_start + end}, but the file ends at {cursor.size}"
            )
