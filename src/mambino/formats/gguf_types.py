"""What the bytes of a GGUF header mean: value types, limits, and the lazy string array.

Knows nothing of tensors or models; gguf_read and gguf_write share it. Start at VALUE_STRUCTS.

Source: the GGUF v3 specification (ggml/docs/gguf.md); all numbers little endian.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError

MAGIC: Final = b"GGUF"
DEFAULT_ALIGNMENT: Final = 32
MAX_DIMENSIONS: Final = 4
MAX_NAME_NBYTES: Final = 65_535  # the specification's limit for keys
MAX_STRING_NBYTES: Final = 1 << 26  # one eagerly decoded value, such as a chat template
MAX_ENTRIES: Final = 1 << 17  # metadata keys, or tensors: far above any real file

U32: Final = Struct("<I")
U64: Final = Struct("<Q")

BOOL, STRING, ARRAY = 7, 8, 9
VALUE_STRUCTS: Final = {
    0: Struct("<B"),
    1: Struct("<b"),
    2: Struct("<H"),
    3: Struct("<h"),
    4: U32,
    5: Struct("<i"),
    6: Struct("<f"),
    BOOL: Struct("<B"),
    10: U64,
    11: Struct("<q"),
    12: Struct("<d"),
}
ARRAY_DTYPES: Final = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", BOOL: "?", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip


class StringArray(Sequence[str]):
    """A GGUF array of strings that stays bytes until asked for.

    raw is the span of the file: count times (u64 length, UTF-8 bytes). Two arrays with equal raw hold equal strings, so
    hashing raw identifies a vocabulary without decoding it. The lengths were checked when the file was opened; the
    UTF-8 is checked when decoded.
    """

    __slots__ = ("_count", "_decoded", "_where", "raw")

    def __init__(self, raw: NDArray[np.uint8], count: int, where: str) -> None:
        self.raw = raw
        self._count = count
        self._where = where
        self._decoded: list[str] | None = None

    def __len__(self) -> int:
        return self._count

    def to_list(self) -> list[str]:
        """All strings, decoded once and kept. Raises FormatError that names the first one that is not UTF-8."""
        if self._decoded is None:
            self._decoded = self._decode()
        return self._decoded

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        return self.to_list()[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_list())

    def __repr__(self) -> str:
        return f"StringArray({self._count} strings, {self.raw.size} bytes)"

    def _decode(self) -> list[str]:
        raw = self.raw.tobytes()
        strings: list[str] = []
        at, read_length = 0, U64.unpack_from
        try:
            for _ in range(self._count):
                end = at + 8 + read_length(raw, at)[0]
                strings.append(raw[at + 8 : end].decode())
                at = end
        except UnicodeDecodeError as error:
            raise FormatError(
                f"{self._where}[{len(strings)}]: not UTF-8 ({error.reason} at byte {error.start})"
            ) from None
        return strings


def encode_string(text: str) -> bytes:
    """u64 length and UTF-8 bytes. Raises FormatError for lone surrogates, which UTF-8 cannot hold."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise FormatError(f"[gguf] string {text[:40]!r} holds lone surrogates and cannot be written as UTF-8") from None
    return U64.pack(len(encoded)) + encoded
