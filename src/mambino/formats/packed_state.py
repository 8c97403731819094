"""A snapshot as bytes that another process can read: magic, length and CRC-32 of the rest, a JSON header, the pieces.

Knows no backend: pieces are bytes, and a layout names who can read them. Start at pack_state and unpack_state.
"""

import hashlib
import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mambino.config import HybridConfig
from mambino.errors import FormatError

Buffer = bytes | bytearray | memoryview

_MAGIC = b"MBNSTATE"
_VERSION = 1
_ALIGNMENT = 64  # of the first piece, so that a reader may view floats in place
_START = len(_MAGIC) + 8  # of the header: after its length and the checksum, little-endian


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedState:
    """pieces are views of the bytes that were unpacked; their sizes are for the reader to check."""

    position: int
    adapter: str
    pieces: tuple[memoryview, ...]


def pack_state(
    layout: str, config: HybridConfig, position: int, pieces: Sequence[Buffer], *, adapter: str = ""
) -> bytearray:
    """A self-contained copy. layout names the form of the pieces, element type included ("native f16").

    adapter: Snapshot.adapter, given back by unpack_state.

    Numbers inside the pieces are in this machine's byte order, which the header states.
    """
    header = json.dumps(
        {
            "version": _VERSION,
            "byte_order": sys.byteorder,
            "layout": layout,
            "model": _fingerprint(config),
            "position": position,
            "adapter": adapter,
            "pieces": [memoryview(piece).nbytes for piece in pieces],
        }
    ).encode()
    header += b" " * (-(_START + len(header)) % _ALIGNMENT)
    checksum = 0
    for part in (header, *pieces):
        checksum = zlib.crc32(part, checksum)
    numbers = len(header).to_bytes(4, "little") + checksum.to_bytes(4, "little")
    return bytearray().join((_MAGIC, numbers, header, *pieces))


def unpack_state(data: Buffer, layout: str, config: HybridConfig) -> UnpackedState:
    """The reverse, without copying.

    Raises     FormatError for bytes that are damaged, cut short, of another version, layout, byte order or model shape.
               Other weights of the same shape are not noticed: who keeps packed states must know whose they are
    """
    view = memoryview(data).cast("B")
    length, checksum = (int.from_bytes(view[at : at + 4], "little") for at in (_START - 8, _START - 4))
    if bytes(view[: len(_MAGIC)]) != _MAGIC or zlib.crc32(view[_START:]) != checksum:
        raise FormatError("[state] these bytes are no packed state, or are damaged or cut short; make the state again")
    header = _header(bytes(view[_START : _START + length]))
    expected = {"version": _VERSION, "byte_order": sys.byteorder, "layout": layout, "model": _fingerprint(config)}
    for key, value in expected.items():
        if header.get(key) != value:
            raise FormatError(
                f"[state] packed {key}: expected {value!r}, got {header.get(key)!r}; make the state again"
            )
    position, sizes, adapter = header.get("position"), header.get("pieces"), header.get("adapter", "")
    if not _is_count(position) or not isinstance(sizes, list) or not all(_is_count(size) for size in sizes):
        raise FormatError("[state] the packed header is damaged; make the state again")
    payload = view[_START + length :]
    if len(payload) != sum(sizes):
        raise FormatError(f"[state] expected {sum(sizes)} packed bytes, got {len(payload)}; make the state again")
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    pieces = tuple(payload[end - size : end] for size, end in zip(sizes, ends, strict=True))
    assert isinstance(position, int)
    return UnpackedState(position=position, adapter=str(adapter), pieces=pieces)


def _header(text: bytes) -> dict[str, object]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise FormatError("[state] the packed header is damaged; make the state again")
    return header


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _fingerprint(config: HybridConfig) -> str:
    """Of everything that decides what a state's numbers mean, as far as a config says it."""
    shape = (asdict(config)["layers"], config.hidden_size, config.vocab_size, config.norm_eps)
    kinds = config.pattern
    return hashlib.sha256(json.dumps((kinds, shape)).encode()).hexdigest()[:32]
