"""A run on disk: one JSONL file per suite, a header line, then one line per sample; appended to, and resumed from.

Start at Transcripts.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self, TextIO

from mambino.errors import InputError
from mambino.evals.task import AnswerJson, Share, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a file holds: answers of one model, asked in one way, to one suite."""

    suite: str
    model: str
    settings: Mapping[str, object]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One sample's answer (None if there was none) and its verdict."""

    id: str
    answer: AnswerJson | None
    verdict: Verdict

    @property
    def is_final(self) -> bool:
        """Whether a resumed run may keep it: a sample without an answer is tried again."""
        return self.answer is not None


class Transcripts:
    """Appends records to a file, flushed one by one, so that a stopped run loses at most a line."""

    def __init__(self, path: Path, header: Header) -> None:
        """Go on with the file at path, or begin it.

        Raises     InputError if it holds another run's answers
        """
        self.path = path
        self.records: dict[str, Record] = {}
        if path.exists() and path.stat().st_size:
            found, records = read_transcripts(path)
            if found != header:
                raise InputError(
                    f"[eval] {path} holds a run of another kind ({_difference(found, header)}); "
                    "give another --out, or remove it"
                )
            self.records = {record.id: record for record in records if record.is_final}
            self._rewrite(header)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._rewrite(header)
        self._stream: TextIO = path.open("a", encoding="utf-8", errors="replace")  # half a character

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):  # every line was flushed; on a full disk, add has said so
            self._stream.close()

    def add(self, record: Record) -> None:
        """Raises InputError if the file cannot be written (a full disk, for instance)."""
        self.records[record.id] = record
        try:
            self._stream.write(_line(_record_json(record)))
            self._stream.flush()
        except OSError as error:
            raise InputError(
                f"[eval] {self.path}: {error.strerror}; what was measured so far is kept: make room and run the same "
                "command again"
            ) from error

    def _rewrite(self, header: Header) -> None:
        """Header and final records only: without half a line at the end, and without failures."""
        part = self.path.with_suffix(".part")
        lines = [_line({"header": asdict(header)}), *(_line(_record_json(record)) for record in self.records.values())]
        try:
            part.write_text("".join(lines), encoding="utf-8", errors="replace")
            part.replace(self.path)
        except OSError as error:
            raise InputError(f"[eval] {self.path}: {error.strerror}") from error


def read_transcripts(path: Path) -> tuple[Header, tuple[Record, ...]]:
    """A file that Transcripts wrote; a last line that was cut off is left out.

    Raises     InputError if it is no such file
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    try:
        header = Header(**json.loads(lines[0])["header"])
        records = tuple(_records(lines[1:]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"[eval] {path} is no transcript of `mambino eval`: {error!r}") from error
    return header, records


def _records(lines: list[str]) -> Iterator[Record]:
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            if index == len(lines) - 1:  # the run was stopped while writing it
                return
            raise
        shares = {name: Share(part=part, whole=whole) for name, (part, whole) in row["shares"].items()}
        verdict = Verdict(shares=shares, unscored=tuple(row["unscored"]), details=row["details"])
        yield Record(id=row["id"], answer=row["answer"], verdict=verdict)


def _record_json(record: Record) -> dict[str, object]:
    verdict = record.verdict
    return {
        "id": record.id,
        "answer": record.answer,
        "shares": {name: [share.part, share.whole] for name, share in verdict.shares.items()},
        "unscored": list(verdict.unscored),
        "details": verdict.details,
    }


def _line(row: object) -> str:
    return json.dumps(row, ensure_ascii=False, default=str) + "\n"


def _difference(found: Header, wanted: Header) -> str:
    a, b = asdict(found), asdict(wanted)
    return ", ".join(f"{key} {a[key]!r} instead of {b[key]!r}" for key in a if a[key] != b[key])
