"""Strings in a GGUF file: arrays of a vocabulary's size that stay bytes until asked for.

Knows nothing of keys or tensors. Start at StringArray; strings_end decides how fast a file opens.
"""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from mambino.errors import FormatError
from mambino.formats.gguf_types import U64

_WINDOW_NBYTES = 1 << 18
_MIN_GAIN = 64  # strings found at once, below which stepping is as fast
_STEPS = 4096


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
        try:
            strings = _split_at_lengths(self.raw, self._count)
        except UnicodeDecodeError:
            strings = None
        return self._decode_each() if strings is None else strings

    def _decode_each(self) -> list[str]:
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


def _split_at_lengths(raw: NDArray[np.uint8], count: int) -> list[str] | None:
    """All strings at once, three times as fast as one by one; None if one of them holds a NUL.

    The last byte of a length is 0 (no string has 2^56 bytes), so it serves as the separator; the other seven go.
    """
    ends = np.concatenate([np.zeros(1, dtype=np.int64), *_string_ends(raw, 0, count)])
    is_text = np.ones(raw.size, dtype=np.bool_)
    is_text[(ends[:-1, None] + np.arange(7)).ravel()] = False
    strings = raw[is_text].tobytes().decode().split("\0")[1:]
    return strings if len(strings) == count else None


def strings_end(data: NDArray[np.uint8], at: int, count: int) -> int:
    """Where count strings that begin at byte `at` end; a result beyond the data means that they do not fit.

    A vocabulary is 400,000 short strings, and stepping from length to length takes 0.2 us each. So short strings are
    found a window at a time, and every one is checked to begin where the one before it ends; where that fails (long or
    empty strings), we step.
    """
    for ends in _string_ends(data, at, count):
        at, count = int(ends[-1]), count - len(ends)
    return at + 8 * count


def _string_ends(data: NDArray[np.uint8], at: int, count: int) -> Iterator[NDArray[np.int64]]:
    """Ends of count strings that begin at byte `at`, in portions; fewer if they pass the end of data."""
    while count and at <= data.size - 8:
        ends = at + _short_strings(data[at : at + _WINDOW_NBYTES])[:count]
        if len(ends) < _MIN_GAIN:
            ends = _step(data, at, min(count, _STEPS))
        yield ends
        at, count = int(ends[-1]), count - len(ends)


def _step(data: NDArray[np.uint8], at: int, count: int) -> NDArray[np.int64]:
    """Ends of at most count strings, from length to length; at least one."""
    ends: list[int] = []
    while len(ends) < count and at <= data.size - 8:
        at = min(at + 8 + int(U64.unpack_from(data.data, at)[0]), data.size + 1)  # a damaged length may exceed int64
        ends.append(at)
    return np.array(ends, dtype=np.int64)


def _short_strings(window: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Ends of the strings of under 256 bytes that follow each other from the start of window without a gap."""
    lengths = np.ndarray((window.size - 7,), dtype="<u8", buffer=window.data, strides=(1,))  # one at every byte
    starts = np.flatnonzero(lengths < 256)
    ends = starts + 8 + lengths[starts].astype(np.int64)
    follows = np.ones(len(starts), dtype=bool)
    follows[:1] = starts[:1] == 0
    follows[1:] = starts[1:] == ends[:-1]
    return ends[: len(follows) if follows.all() else int(follows.argmin())]


def encode_string(text: str) -> bytes:
    """u64 length and UTF-8 bytes. Raises FormatError for lone surrogates, which UTF-8 cannot hold."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise FormatError(f"[gguf] string {text[:40]!r} holds lone surrogates and cannot be written as UTF-8") from None
    return U64.pack(len(encoded)) + encoded
