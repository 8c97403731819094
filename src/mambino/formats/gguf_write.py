"""Write GGUF v3: header first, then tensors one at a time, into a file that appears only when complete.

Knows no model: gguf_config makes the metadata, names.py the tensor names. Start at write_gguf; GgufWriter is for
exports too large to hold at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, prod
from pathlib import Path
from typing import IO

import numpy as np

from mambino.errors import InputError, Unsupported
from mambino.formats.gguf_strings import StringArray, encode_string
from mambino.formats.gguf_types import (
    ARRAY,
    ARRAY_DTYPES,
    BOOL,
    DEFAULT_ALIGNMENT,
    MAGIC,
    MAX_DIMENSIONS,
    STRING,
    U32,
    U64,
    VALUE_STRUCTS,
)
from mambino.formats.mapped import replacing
from mambino.formats.tensor import Tensor
from mambino.quant.types import QuantType

_MAX_FLOAT32 = float(np.finfo(np.float32).max)
_KIND_BY_DTYPE = {np.dtype(code): kind for kind, code in ARRAY_DTYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """A tensor to come: what the directory says of it, in torch order."""

    name: str
    type: QuantType
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape[:-1]) * self.type.row_nbytes(self.shape[-1])


class GgufWriter:
    """Takes the announced tensors in their order. Made by gguf_writer."""

    def __init__(self, file: IO[bytes], entries: Sequence[TensorEntry]) -> None:
        self._file = file
        self._pending = list(reversed(entries))

    def write(self, tensor: Tensor) -> None:
        """Append the next tensor's bytes. Raises InputError unless it is the one announced."""
        if not self._pending:
            raise InputError(f"[gguf] tensor {tensor.name}: more tensors than announced")
        entry = self._pending.pop()
        if _entry_of(tensor) != entry:
            raise InputError(f"[gguf] expected tensor {entry}, got {_entry_of(tensor)}")
        self._file.write(tensor.data.data)
        self._file.write(bytes(-tensor.nbytes % DEFAULT_ALIGNMENT))

    def require_complete(self) -> None:
        if self._pending:
            raise InputError(f"[gguf] tensor {self._pending[-1].name}: announced, but never written")


@contextmanager
def gguf_writer(
    path: Path | str, metadata: Mapping[str, object], entries: Sequence[TensorEntry]
) -> Iterator[GgufWriter]:
    """Open path for streaming: the header is written now, the tensors by the writer, and path appears at the end.

    Metadata values: bool, int (u32 where it fits, else i32, u64, i64), float (f32), str, NumPy scalars and arrays (of
    their own type), StringArray, and non-empty lists of one of these.
    Raises     InputError for values or names that GGUF cannot hold; FormatError if the file cannot be written
    """
    header = _encode_header(metadata, entries)
    with replacing(Path(path)) as file:
        file.write(header)
        writer = GgufWriter(file, entries)
        yield writer
        writer.require_complete()


def write_gguf(path: Path | str, metadata: Mapping[str, object], tensors: Iterable[Tensor]) -> None:
    """Write metadata and tensors to path, atomically. See gguf_writer for values and errors."""
    tensors = list(tensors)
    with gguf_writer(path, metadata, [_entry_of(tensor) for tensor in tensors]) as writer:
        for tensor in tensors:
            writer.write(tensor)


def _entry_of(tensor: Tensor) -> TensorEntry:
    if tensor.scale is not None:
        raise InputError(f"[gguf] tensor {tensor.name}: carries a scale, which GGUF cannot hold; encode it anew")
    return TensorEntry(name=tensor.name, type=tensor.type, shape=tensor.shape)


def _encode_header(metadata: Mapping[str, object], entries: Sequence[TensorEntry]) -> bytes:
    if metadata.get("general.alignment", DEFAULT_ALIGNMENT) != DEFAULT_ALIGNMENT:
        raise InputError(f"[gguf] key general.alignment: this writer aligns to {DEFAULT_ALIGNMENT}; drop the key")
    header = bytearray(MAGIC + U32.pack(3) + U64.pack(len(entries)) + U64.pack(len(metadata)))
    for key, value in metadata.items():
        header += encode_string(key) + _encode_value(key, value)
    header += _encode_directory(entries)
    return bytes(header) + bytes(-len(header) % DEFAULT_ALIGNMENT)


def _encode_directory(entries: Sequence[TensorEntry]) -> bytes:
    directory, offset, names = bytearray(), 0, set[str]()
    for entry in entries:
        if entry.name in names or not 1 <= len(entry.shape) <= MAX_DIMENSIONS:
            raise InputError(f"[gguf] tensor {entry.name}: occurs twice, or has {len(entry.shape)} dimensions")
        if entry.type.ggml_id is None:
            raise Unsupported(
                f"[gguf] tensor {entry.name}: GGUF has no type {entry.type.name}; encode it as BF16 or Q8_0"
            )
        names.add(entry.name)
        directory += encode_string(entry.name) + U32.pack(len(entry.shape))
        directory += b"".join(U64.pack(size) for size in reversed(entry.shape))
        directory += U32.pack(entry.type.ggml_id) + U64.pack(offset)
        offset += entry.nbytes + -entry.nbytes % DEFAULT_ALIGNMENT
    return bytes(directory)


def _encode_value(key: str, value: object) -> bytes:
    """u32 type and payload of one metadata value."""
    match value:
        case str():
            return U32.pack(STRING) + encode_string(value)
        case StringArray():
            return U32.pack(ARRAY) + U32.pack(STRING) + U64.pack(len(value)) + value.raw.tobytes()
        case np.ndarray() | np.generic():
            return _encode_numpy(key, np.asarray(value))
        case bool() | int() | float():
            kind = _kind_of(key, [value])
            return U32.pack(kind) + VALUE_STRUCTS[kind].pack(value)
        case list() | tuple():
            return U32.pack(ARRAY) + _encode_list(key, list(value))
        case _:
            raise InputError(f"[gguf] key {key}: cannot hold a {type(value).__name__}")


def _encode_numpy(key: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    kind = _KIND_BY_DTYPE.get(array.dtype)
    if kind is None or array.ndim > 1:
        raise InputError(f"[gguf] key {key}: cannot hold an array of {array.dtype} {array.shape}")
    prefix = U32.pack(ARRAY) + U32.pack(kind) + U64.pack(array.size) if array.ndim else U32.pack(kind)
    return prefix + array.tobytes()


def _encode_list(key: str, values: list[object]) -> bytes:
    if values and all(isinstance(value, str) for value in values):
        encoded = b"".join(encode_string(str(value)) for value in values)
        return U32.pack(STRING) + U64.pack(len(values)) + encoded
    kind = _kind_of(key, values)
    encoded = b"".join(VALUE_STRUCTS[kind].pack(value) for value in values)
    return U32.pack(kind) + U64.pack(len(values)) + encoded


def _kind_of(key: str, values: Sequence[object]) -> int:
    """The GGUF type that holds all values: bool, f32, or the first of u32, i32, u64, i64."""
    if values and all(isinstance(value, bool) for value in values):
        return BOOL
    reals = [value for value in values if isinstance(value, float)]
    if reals and len(reals) == len(values):
        if any(_MAX_FLOAT32 < abs(value) < inf for value in reals):
            raise InputError(f"[gguf] key {key}: {max(reals, key=abs)} does not fit a float32; pass np.float64")
        return 6
    integers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    if integers and len(integers) == len(values):
        for kind, low, high in ((4, 0, 1 << 32), (5, -(1 << 31), 1 << 31), (10, 0, 1 << 64), (11, -(1 << 63), 1 << 63)):
            if low <= min(integers) and max(integers) < high:
                return kind
    raise InputError(f"[gguf] key {key}: expected values of one type (bool, int, float or str), got {values!r:.80}")
