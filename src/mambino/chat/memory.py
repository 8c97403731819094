"""What a persona remembers from one conversation to the next: a short list of facts in a JSON file.

Knows no model. Start at Memory; its remember is what the model may call.
"""

import json
import threading
from collections.abc import Sequence
from pathlib import Path

from mambino.errors import FormatError
from mambino.formats.mapped import replacing

MAX_FACT_CHARS = 300
MAX_FILE_BYTES = 4 * 2**20
_FORMAT = "mambino-memory"


class Memory:
    """Facts, the newest last; the oldest are forgotten when there are more than max_facts. Safe between threads."""

    def __init__(self, path: Path, max_facts: int) -> None:
        """path need not exist. Raises FormatError if it does and is something else."""
        self.path = path
        self.max_facts = max_facts
        self._lock = threading.Lock()
        self._facts = _read(path) if path.exists() else []

    @property
    def facts(self) -> tuple[str, ...]:
        return tuple(self._facts)

    def remember(self, fact: str) -> str:
        """Remember a lasting fact about the person you talk with, in one short sentence.

        Args:
            fact: the fact, such as "Her name is Ada."
        """
        clean = _clean(fact)
        if not clean:
            return "nothing to remember"
        with self._lock:
            self._keep([known for known in self._facts if known != clean] + [clean])
        return "remembered"

    def replace(self, facts: Sequence[str]) -> None:
        """Remember facts and nothing else: what a person who edits a memory wants. Mutates self and the file."""
        with self._lock:
            self._keep(list(dict.fromkeys(clean for fact in facts if (clean := _clean(fact)))))

    def _keep(self, facts: list[str]) -> None:
        self._facts = facts[-self.max_facts :]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as stream:
            stream.write(json.dumps({"format": _FORMAT, "facts": self._facts}, ensure_ascii=False, indent=1).encode())

    def text(self) -> str:
        """What the model is told of it, "" if there is nothing."""
        if not self._facts:
            return ""
        return "What you remember from earlier conversations:\n" + "\n".join(f"- {fact}" for fact in self._facts)


def _clean(fact: str) -> str:
    return " ".join(fact.split())[:MAX_FACT_CHARS]


def _read(path: Path) -> list[str]:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise FormatError(f"[memory] {path}: more than {MAX_FILE_BYTES} bytes; delete it to begin anew")
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        raise FormatError(f"[memory] {path}: not JSON ({error}); delete it to begin anew") from error
    facts = document.get("facts") if isinstance(document, dict) and document.get("format") == _FORMAT else None
    if not isinstance(facts, list) or not all(isinstance(fact, str) for fact in facts):
        raise FormatError(f"[memory] {path}: not a memory file; delete it to begin anew")
    return facts
