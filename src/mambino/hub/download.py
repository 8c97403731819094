"""Fetch the files of a PullPlan: resumable, checked against the hub's checksums, moved into place when right.

A file under its own name is complete and was verified; what is not lies beside it as NAME.<checksum>.part.
Start at download.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.errors import HTTPError as HttpError  # type: ignore[attr-defined]  # httpx's or httpx2's
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

from mambino.errors import FetchError
from mambino.hub.remote import PullPlan, RemoteFile, hub_errors

CHUNK_BYTES = 1 << 20
MAX_ATTEMPTS = 5  # without a single new byte between them
_SPARE_BYTES = 64 << 20  # left free on the disk

Progress = Callable[[RemoteFile, int], None]  # (file, bytes of it that are here)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def download(plan: PullPlan, *, on_progress: Progress = lambda file, nbytes: None, retry_wait_s: float = 1.0) -> Path:
    """Fetch what is missing of the plan and return the path to open. A second call fetches nothing.

    Raises     FetchError if the hub cannot be reached, the disk is too full, or a checksum does not match (the file
               is then removed)
    """
    missing = [file for file in plan.files if not _is_complete(plan, file)]
    _check_disk(plan, missing)
    for file in plan.files:
        if file in missing:
            _fetch(plan, file, on_progress, retry_wait_s)
        on_progress(file, file.nbytes)
    return plan.model


def _is_complete(plan: PullPlan, file: RemoteFile) -> bool:
    path = plan.target(file)
    return path.is_file() and path.stat().st_size == file.nbytes and _checksum_of(path, file) == _expected(file)


def _check_disk(plan: PullPlan, missing: list[RemoteFile]) -> None:
    plan.folder.mkdir(parents=True, exist_ok=True)
    here = sum(part.stat().st_size for part in (_part_path(plan, file) for file in missing) if part.exists())
    needed = sum(file.nbytes for file in missing) - here
    free = shutil.disk_usage(plan.folder).free
    if missing and needed + _SPARE_BYTES > free:
        raise FetchError(
            f"[pull] {plan.repo} needs {needed / 1e9:.2f} GB more, but only {free / 1e9:.2f} GB are free in "
            f"{plan.folder}; free some space, or set MAMBINO_HOME to a folder on a larger disk"
        )


def _part_path(plan: PullPlan, file: RemoteFile) -> Path:
    target = plan.target(file)
    return target.with_name(f".{target.name}.{(_expected(file) or plan.commit)[:16]}.part")


def _fetch(plan: PullPlan, file: RemoteFile, on_progress: Progress, retry_wait_s: float) -> None:
    part = _part_path(plan, file)
    part.parent.mkdir(parents=True, exist_ok=True)
    attempts = 0
    endpoint = HfApi(endpoint=plan.endpoint).endpoint
    with hub_errors(plan.repo, endpoint):
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                _stream(plan, file, part, on_progress)
                break
            except HfHubHTTPError:
                raise
            except HttpError:  # the connection broke: what is here stays, and the rest is asked for again
                attempts = 1 if part.exists() and part.stat().st_size > before else attempts + 1
                if attempts >= MAX_ATTEMPTS:
                    raise
                time.sleep(retry_wait_s)
    _accept(plan, file, part)


def _stream(plan: PullPlan, file: RemoteFile, part: Path, on_progress: Progress) -> None:
    url = hf_hub_url(plan.repo, file.name, revision=plan.commit, endpoint=plan.endpoint)
    with part.open("ab") as stream:
        here = stream.tell()
        if here >= file.nbytes:
            return
        headers = {**build_hf_headers(token=plan.token, library_name="mambino"), "Accept-Encoding": "identity"}
        if here:
            headers["Range"] = f"bytes={here}-"
        with get_session().stream("GET", url, headers=headers, timeout=30.0) as response:
            hf_raise_for_status(response)
            if response.status_code != 206:  # the server sends the whole file, whatever was asked
                stream.truncate(0)
                here = 0
            for chunk in response.iter_bytes(CHUNK_BYTES):
                _write(stream, chunk, part)
                here += len(chunk)
                on_progress(file, here)
                if here > file.nbytes:
                    break  # longer than promised; the checksum refuses it


def _write(stream: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        stream.write(chunk)
    except OSError as error:
        raise FetchError(
            f"[pull] cannot write {part}: {error.strerror}; run the same command again to go on"
        ) from error


def _accept(plan: PullPlan, file: RemoteFile, part: Path) -> None:
    """Move the part into place if it is what the hub promised, else remove it."""
    nbytes, expected = part.stat().st_size, _expected(file)
    if nbytes != file.nbytes or _checksum_of(part, file) != expected:
        part.unlink()
        what = (
            f"{nbytes} bytes instead of {file.nbytes}" if nbytes != file.nbytes else f"a checksum other than {expected}"
        )
        raise FetchError(f"[pull] {file.name} arrived with {what}; it was removed, pull it again")
    os.replace(part, plan.target(file))


def _expected(file: RemoteFile) -> str | None:
    return file.sha256 or file.git_sha1


def _checksum_of(path: Path, file: RemoteFile) -> str | None:
    """sha256 of the content for LFS files, git's blob id for the others, None where the hub names neither."""
    if _expected(file) is None:
        return None
    digest: _Hash = hashlib.sha256()
    if file.sha256 is None:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
