"""Where a suite's rows come from: a folder that the user names, or the Hugging Face hub, kept in the cache.

Start at SuiteOptions.rows.
"""

import csv
import gzip
import io
import json
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mambino.errors import FetchError, FormatError, InputError, MambinoError, Unsupported
from mambino.hub.datasets import fetch_dataset_file

Row = Mapping[str, object]
_MAX_NBYTES = 2 << 30  # of one unpacked member of an archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of rows: names under which a folder may hold it, and where the hub has it."""

    names: tuple[str, ...]
    repo: str | None = None
    file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOptions:
    """What a suite may be told.

    folder    holds data files, as they are or in a folder named after the suite; None asks the hub
    limit     first samples only
    length    tokens of a generated text (RULER), about
    text      a file to generate from (RULER's haystack); None takes a built-in text
    agent     of the games: zeroshot, reflection, planning, reflection_planning
    episodes  of each game
    strict    the games' answers are held to the grammar of actions
    """

    folder: Path | None = None
    limit: int | None = None
    seed: int = 0
    length: int = 4096
    text: Path | None = None
    agent: str = "zeroshot"
    episodes: int = 5
    strict: bool = False

    def generated(self) -> dict[str, object]:
        """What changes generated samples under the same ids; nothing that --limit may extend."""
        chosen: dict[str, object] = {
            "length": self.length,
            "agent": self.agent,
            "seed": self.seed,
            "strict": self.strict,
        }
        return chosen | ({"text": str(self.text)} if self.text else {})

    def find(self, suite: str, source: Source) -> Path:
        """Raises InputError if the folder does not hold the file; FetchError if the hub cannot be asked."""
        if self.folder is None:
            if source.repo is None or source.file is None:
                raise InputError(f"[eval] {suite} has no data on the hub; name a folder that holds it: --data DIR")
            try:
                return fetch_dataset_file(source.repo, source.file)
            except FetchError as error:
                raise FetchError(f"{error}; or name a folder that holds the data of {suite}: --data DIR") from error
        for name in source.names:
            for path in (self.folder / suite / name, self.folder / name):
                if path.is_file():
                    return path
        raise InputError(f"[eval] {suite}: no {' or '.join(source.names)} in {self.folder} or {self.folder / suite}")

    def rows(self, suite: str, source: Source) -> tuple[Row, ...]:
        """All rows of the file. Raises as find does, and FormatError that names a bad line."""
        return tuple(read_rows(self.find(suite, source)))


def read_rows(path: Path) -> Iterator[Row]:
    """Rows of .json, .jsonl, .csv or .parquet, also gzipped, and of all .jsonl files of a tar archive.

    Raises     FormatError for a file that is damaged, or whose text is not UTF-8
    """
    try:
        yield from _rows(path)
    except MambinoError:
        raise
    except (ValueError, EOFError, OSError, tarfile.TarError, lzma.LZMAError, zlib.error) as error:
        raise FormatError(f"[eval] {path}: cannot be read: {error}") from error


def _rows(path: Path) -> Iterator[Row]:
    if ".tar" in path.suffixes:
        yield from _archive_rows(path)
    elif path.suffix == ".parquet":
        yield from _parquet_rows(path)
    else:
        packed = path.read_bytes()
        unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix)
        text = (unpack(packed) if unpack else packed).decode("utf-8-sig")
        yield from _text_rows(text, path, path.with_suffix("") if unpack else path)


def _text_rows(text: str, path: Path, name: Path) -> Iterator[Row]:
    if name.suffix == ".csv":
        yield from csv.DictReader(io.StringIO(text))
        return
    if text.lstrip().startswith("["):
        rows = _parsed(text, path, 1)
        for row in rows if isinstance(rows, list) else ():
            yield _checked(row, path, 1)
        return
    for index, line in enumerate(text.split("\n"), 1):  # other line ends may stand inside JSON strings
        if line.strip():
            yield _checked(_parsed(line, path, index), path, index)


def _parsed(text: str, path: Path, line: int) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise FormatError(f"[eval] {path} line {line}: not JSON: {error}") from error


def _checked(row: object, path: Path, line: int) -> Row:
    if not isinstance(row, dict):
        raise FormatError(f"[eval] {path} line {line}: expected an object, got {type(row).__name__}")
    return row


def _archive_rows(path: Path) -> Iterator[Row]:
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() and member.name.endswith(".jsonl") else None
            if stream is not None and member.size <= _MAX_NBYTES:
                text = stream.read().decode("utf-8")
                yield from _text_rows(text, path / member.name, Path(member.name))


def _parquet_rows(path: Path) -> Iterator[Row]:
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise Unsupported(f"[eval] {path.name} needs pyarrow: pip install 'mambino[evals]'") from error
    for batch in parquet.ParquetFile(path).iter_batches():
        yield from batch.to_pylist()
