"""The same places on disk: content-addressed, checksummed, written whole or not at all, under a cap of bytes.

A file belongs to one fingerprint (model, quantisation, key/value type) and to the adapter that its state was made with,
which is part of its name; any other is refused. What is damaged is deleted and computed again. Start at StateStore;
read_place and write_place are the form of one file.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from mambino.errors import FormatError
from mambino.formats.mapped import replacing
from mambino.generation.prefix_cache import Key, Place, beginnings
from mambino.lm import LanguageModel

MAGIC = b"MAMBSTA1"
SUFFIX = ".state"
DEFAULT_MAX_NBYTES = 4 * 2**30
_CHECK_BYTES = 32
_MAX_HEADER_BYTES = 64 * 2**20


class StateStore:
    """A folder of places for one model; safe for several processes, which at worst write the same file twice."""

    def __init__(
        self, folder: Path, model: LanguageModel, fingerprint: str, *, max_nbytes: int = DEFAULT_MAX_NBYTES
    ) -> None:
        """folder is made when the first place is written. max_nbytes caps the files of this fingerprint."""
        self.folder = folder / fingerprint[:32]
        self.model = model
        self.fingerprint = fingerprint
        self.max_nbytes = max_nbytes

    def best(self, text: str, *, longer_than: int = 0, adapter: str = "") -> Place | None:
        """The longest place on disk that is a proper beginning of text; damaged files on the way are deleted.

        adapter: digest of the one that text is to be absorbed with.
        """
        known = self._known()
        lengths = {length for length, _ in known if longer_than < length < len(text)}
        for key in reversed(beginnings(text, lengths, adapter)):
            path = known.get(key)
            if path is None:
                continue
            try:
                place = read_place(path, self.model, self.fingerprint)
            except FormatError:
                path.unlink(missing_ok=True)
                continue
            except OSError:  # another process made room
                continue
            if place.begins(text, adapter):
                os.utime(path)
                return place
        return None

    def put(self, place: Place) -> Path:
        """Write place unless it is there; the oldest files go if the cap demands it. The file's path."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / _name(place.key)
        if not path.exists():
            write_place(path, place, self.model, self.fingerprint)
            self._keep_under_cap(path)
        return path

    def _known(self) -> Mapping[Key, Path]:
        found: dict[Key, Path] = {}
        for path in self.folder.glob(f"*{SUFFIX}"):
            length, _, digest = path.stem.partition("-")
            if length.isdecimal() and len(digest) == 32 and all(letter in "0123456789abcdef" for letter in digest):
                found[int(length), bytes.fromhex(digest)] = path
        return found

    def _keep_under_cap(self, newest: Path) -> None:
        files = [(path.stat(), path) for path in self._known().values()]
        total = sum(status.st_size for status, _ in files)
        for status, path in sorted(files, key=lambda pair: pair[0].st_mtime):
            if total <= self.max_nbytes or path == newest:
                continue
            path.unlink(missing_ok=True)
            total -= status.st_size


def write_place(path: Path, place: Place, model: LanguageModel, fingerprint: str) -> None:
    """Write one file, whole or not at all."""
    with replacing(path) as stream:
        for part in encode_place(place, model, fingerprint):
            stream.write(part)


def encode_place(place: Place, model: LanguageModel, fingerprint: str) -> Iterator[bytes | memoryview]:
    """The parts of a file: magic, header length, header, ids, packed snapshot, checksum of all before it."""
    packed = memoryview(model.pack(place.snapshot)).cast("B")
    ids = np.asarray(place.ids, dtype="<i4").tobytes()
    header = json.dumps(
        {"fingerprint": fingerprint, "text": place.text, "num_ids": len(place.ids), "packed_bytes": packed.nbytes}
    ).encode("ascii")
    checksum = blake2b(digest_size=_CHECK_BYTES)
    for part in (MAGIC, len(header).to_bytes(8, "little"), header, ids, packed):
        checksum.update(part)
        yield part
    yield checksum.digest()


def read_place(path: Path, model: LanguageModel, fingerprint: str) -> Place:
    """Read one file. Raises FormatError if it is damaged, or of another model; OSError if unreadable."""
    return decode_place(memoryview(path.read_bytes()), model, fingerprint, where=str(path))


def decode_place(content: memoryview, model: LanguageModel, fingerprint: str, *, where: str) -> Place:
    """A place from what encode_place made; where names it in errors. Raises FormatError."""
    header, body = _header(where, content)
    if header.fingerprint != fingerprint:
        raise FormatError(f"[state] {where}: made with another model, quantisation or adapter")
    ids_bytes = 4 * header.num_ids
    if len(body) != ids_bytes + header.packed_bytes:
        raise FormatError(f"[state] {where}: {len(body)} bytes of state, expected {ids_bytes + header.packed_bytes}")
    ids = np.frombuffer(body[:ids_bytes], dtype="<i4")
    snapshot = model.unpack(body[ids_bytes:])
    if snapshot.position != len(ids):
        raise FormatError(f"[state] {where}: {len(ids)} ids for a state of {snapshot.position} tokens")
    return Place(text=header.text, ids=tuple(ids.tolist()), snapshot=snapshot)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    fingerprint: str
    text: str
    num_ids: int
    packed_bytes: int


def _header(where: str, content: memoryview) -> tuple[_Header, memoryview]:
    start = len(MAGIC) + 8
    if len(content) < start + _CHECK_BYTES or bytes(content[: len(MAGIC)]) != MAGIC:
        raise FormatError(f"[state] {where}: not a saved state, or cut short")
    if blake2b(content[:-_CHECK_BYTES], digest_size=_CHECK_BYTES).digest() != bytes(content[-_CHECK_BYTES:]):
        raise FormatError(f"[state] {where}: damaged (its checksum does not match); it will be computed again")
    length = int.from_bytes(content[len(MAGIC) : start], "little")
    if not 0 < length <= min(_MAX_HEADER_BYTES, len(content) - start - _CHECK_BYTES):
        raise FormatError(f"[state] {where}: header of {length} bytes")
    try:
        fields = json.loads(bytes(content[start : start + length]))
        header = _Header(**fields)
    except (ValueError, TypeError) as error:
        raise FormatError(f"[state] {where}: header: {error}") from error
    counts = (header.num_ids, header.packed_bytes)
    if not (isinstance(header.text, str) and all(isinstance(n, int) and n >= 0 for n in counts)):
        raise FormatError(f"[state] {where}: header fields of the wrong type")
    return header, content[start + length : -_CHECK_BYTES]


def _name(key: Key) -> str:
    length, digest = key
    return f"{length}-{digest.hex()}{SUFFIX}"
