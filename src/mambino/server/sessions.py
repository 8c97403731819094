"""The web page's conversations on disk: one JSON file each, written whole or not at all, in one folder.

Knows no HTTP and no model; a conversation has the form SESSION. Start at SessionFolder.
"""

import json
import re
import secrets
from pathlib import Path
from typing import cast

from mambino.errors import FormatError, InputError
from mambino.formats.mapped import replacing
from mambino.server.reply import json_bytes
from mambino.server.schema import Body, Checker, Schema, choice, fields, listed, optional, text

MAX_SESSIONS = 2000
_ID = re.compile(r"[0-9a-f]{32}")

_NODE_ID = text(minLength=1, maxLength=64)
_CALL = fields({"id": text(), "name": text(), "arguments": text()}, ["id", "name", "arguments"])
_STATS: Schema = {"type": "object", "additionalProperties": {"type": ["number", "string", "null"]}, "maxProperties": 16}
_NODE = fields(
    {
        "id": _NODE_ID,
        "parent": optional(_NODE_ID),
        "role": choice("user", "assistant", "tool"),
        "content": text(),
        "reasoning": optional(text()),
        "calls": optional(listed(_CALL, maxItems=64)),
        "call_id": optional(text()),
        "attachments": optional(listed(fields({"name": text(maxLength=255), "text": text()}, ["name", "text"]))),
        "stats": optional(_STATS),
    },
    ["id", "role", "content"],
)
SESSION = Checker(
    fields(
        {
            "title": text(maxLength=200),
            "persona": optional(text(maxLength=64)),
            "system": optional(text()),
            "remembered": optional(text()),
            "nodes": listed(_NODE, maxItems=20_000),
            "head": optional(_NODE_ID),
        },
        ["title", "nodes"],
    )
)


class SessionFolder:
    """Conversations by id. Safe between threads and processes: the last writer wins, no reader sees half a file."""

    def __init__(self, folder: Path) -> None:
        """folder is made, for its owner only, when the first conversation is written."""
        self.folder = folder

    def summaries(self) -> list[Body]:
        """id, title and time of the last change (seconds since 1970) of every conversation, newest first."""
        found: list[Body] = []
        for path in self.folder.glob("*.json") if self.folder.is_dir() else ():
            if not _ID.fullmatch(path.stem):
                continue
            try:
                title, updated = json.loads(path.read_bytes())["title"], path.stat().st_mtime
            except (ValueError, LookupError, TypeError, RecursionError, OSError):
                title, updated = "(damaged)", 0.0  # still listed, so that it can be deleted
            found.append({"id": path.stem, "title": str(title), "updated": updated})
        return sorted(found, key=lambda one: cast(float, one["updated"]), reverse=True)

    def read(self, session_id: str) -> Body | None:
        """The conversation; None if there is none. Raises FormatError if its file is damaged."""
        try:
            content = self._path(session_id).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return SESSION.check(json.loads(content))
        except (ValueError, RecursionError) as error:
            raise FormatError(f"[sessions] {session_id}: the file is damaged ({error}); delete it") from error

    def create(self, session: Body) -> str:
        """Write a checked conversation under a new id. Raises InputError if there are too many."""
        if self.folder.is_dir() and sum(1 for _ in self.folder.glob("*.json")) >= MAX_SESSIONS:
            raise InputError(f"[sessions] {MAX_SESSIONS} conversations are kept; delete some first")
        session_id = secrets.token_hex(16)
        self._write(session_id, session)
        return session_id

    def update(self, session_id: str, session: Body) -> bool:
        """Replace a conversation by a checked one; whether there was one."""
        if not self._path(session_id).is_file():
            return False
        self._write(session_id, session)
        return True

    def delete(self, session_id: str) -> bool:
        """Whether there was one."""
        try:
            self._path(session_id).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, session_id: str) -> Path:
        """Raises InputError for anything but an id: no name leaves the folder."""
        if not _ID.fullmatch(session_id):
            raise InputError("[sessions] an id is 32 lower-case hexadecimal digits")
        return self.folder / f"{session_id}.json"

    def _write(self, session_id: str, session: Body) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with replacing(self._path(session_id)) as file:
            file.write(json_bytes(session))
