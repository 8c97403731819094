"""Ready-made tokenizer specs on disk, keyed by a hash of what they were read from.

Reading back costs a fraction of parsing the source, and never executes anything: one JSON head, one block of text.
A damaged file is ignored and replaced; a folder that cannot be written is no error, only slower next time.
"""

import contextlib
import hashlib
import json
import os
import struct
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from itertools import chain
from pathlib import Path

from mambino.tokenizer.spec import AddedToken, BpeOptions, BpeSpec

_MAGIC = b"mambino tokenizer 3\n"  # the number changes whenever the layout or the meaning of a spec does
_HEAD_NBYTES = struct.Struct("<Q")
_SEPARATOR = "\0"  # in no byte-level token


def content_key(parts: Iterable[bytes | memoryview]) -> str:
    """A name that changes with any byte of parts, or with where one part ends."""
    digest = hashlib.sha256(_MAGIC)
    for part in parts:
        digest.update(struct.pack("<Q", len(part)))
        digest.update(part)
    return digest.hexdigest()


def cached_spec(cache_dir: Path | None, key: str, make: Callable[[], BpeSpec]) -> BpeSpec:
    """The spec stored under key, or a new one from make, stored for the next time. None means no cache."""
    if cache_dir is None:
        return make()
    path = cache_dir / "tokenizers" / f"{key}.bin"
    spec = _read(path)
    if spec is None:
        spec = make()
        with contextlib.suppress(OSError):  # read-only or full: the cache is a convenience
            _write(path, spec)
    return spec


def _read(path: Path) -> BpeSpec | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    body = memoryview(content)[len(_MAGIC) + 32 :]
    if not content.startswith(_MAGIC) or content[len(_MAGIC) : len(_MAGIC) + 32] != hashlib.sha256(body).digest():
        return None
    return _unpack(body)


def _write(path: Path, spec: BpeSpec) -> None:
    body = _pack(spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_MAGIC + hashlib.sha256(body).digest() + body)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _pack(spec: BpeSpec) -> bytes:
    head = {
        "tokens": spec.tokens,
        "ids": spec.ids,
        "added": [asdict(token) for token in spec.added],
        "normalizer": spec.normalizer,
        "pre_tokenizer": spec.pre_tokenizer,
        "options": asdict(spec.options),
        "leading_token": spec.leading_token,
        "num_merges": len(spec.merges),
    }
    text = json.dumps(head, ensure_ascii=False).encode()
    return _HEAD_NBYTES.pack(len(text)) + text + _SEPARATOR.join(chain.from_iterable(spec.merges)).encode()


def _unpack(body: memoryview) -> BpeSpec | None:
    """None if a merge holds the separator; then the file is of no use, and the spec is made every time."""
    start = _HEAD_NBYTES.size
    end = start + _HEAD_NBYTES.unpack_from(body)[0]
    head = json.loads(bytes(body[start:end]))
    parts = str(body[end:], "utf-8").split(_SEPARATOR) if head["num_merges"] else []
    if len(parts) != 2 * head["num_merges"]:
        return None
    return BpeSpec(
        tokens=head["tokens"],
        ids=head["ids"],
        merges=list(zip(parts[0::2], parts[1::2], strict=True)),
        added=tuple(AddedToken(**token) for token in head["added"]),
        normalizer=head["normalizer"],
        pre_tokenizer=head["pre_tokenizer"],
        options=BpeOptions(**head["options"]),
        leading_token=head["leading_token"],
    )
