"""A conversation as a JSON file: written atomically, read strictly. Knows messages only. Start at save_messages."""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mambino.chat.messages import Message, message_from_json
from mambino.errors import FormatError, InputError

FORMAT = "mambino-chat"
VERSION = 1
MAX_FILE_BYTES = 256 * 2**20


def save_messages(path: Path, messages: Sequence[Message], *, about: Mapping[str, object]) -> None:
    """Write messages, and about (JSON values: the model, the sampling), whole or not at all.

    Raises     InputError if path exists and is not such a file; OSError if it cannot be written
    """
    if path.exists() and not _is_saved_chat(path):
        raise InputError(f"[chat] {path} exists and is not a saved chat; choose another name")
    document = {"format": FORMAT, "version": VERSION, **about, "messages": [message.to_json() for message in messages]}
    text = json.dumps(document, ensure_ascii=False, indent=1)
    descriptor, staged = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogatepass") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(staged, path)
    except BaseException:
        Path(staged).unlink(missing_ok=True)
        raise


def load_messages(path: Path) -> list[Message]:
    """Read what save_messages wrote. Raises FormatError or InputError that name the place; OSError if unreadable."""
    document = _read(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FormatError(f"[chat] {path}: not a saved chat (no format {FORMAT!r})")
    if document.get("version") != VERSION:
        raise FormatError(f"[chat] {path}: version {document.get('version')!r}, and this mambino reads {VERSION}")
    messages = document.get("messages")
    if not isinstance(messages, list):
        raise FormatError(f"[chat] {path}: messages must be a list, got {type(messages).__name__}")
    return [message_from_json(fields, where=f"{path}: messages[{index}]") for index, fields in enumerate(messages)]


def _is_saved_chat(path: Path) -> bool:
    try:
        document = _read(path)
    except FormatError:
        return False
    return isinstance(document, dict) and document.get("format") == FORMAT


def _read(path: Path) -> object:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise FormatError(f"[chat] {path}: too large for a saved chat")
    try:
        return json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"[chat] {path}: not JSON: {error}") from error
