"""Plain English from the permissive corpora beside the repository, cleaned to what a tiny model can follow.

Each reader yields documents, or nothing where its file is absent: the recipe works without them. Licences and origins
are listed in the corpora's own README; none of the text is kept in this repository.
"""

import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

from recipes.bundled.chats import Turn

_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:!?'\"\n()-]+")
_SPACES = re.compile(r"[ \t]+")
_LONGEST_SENTENCE = 200  # characters


def _records(path: Path) -> Iterator[dict[str, object]]:
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def _clean(text: str) -> str:
    for fancy, plain in (
        ("\u2019", "'"),
        ("\u2018", "'"),
        ("\u201c", '"'),
        ("\u201d", '"'),
        ("\u2014", " - "),
        ("--", " - "),
    ):
        text = text.replace(fancy, plain)
    return _SPACES.sub(" ", text).strip()


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and max(map(len, re.split(r"[.!?]", text))) <= _LONGEST_SENTENCE


def fables(corpora: Path) -> Iterator[str]:
    """Aesop's fables with their morals (public domain)."""
    for record in _records(corpora / "books/aesop.jsonl.gz"):
        text = _clean(f"{record['fable']}\n\n{record['lesson']}")
        if _is_plain(text) and len(text) < 1500:
            yield text


def fairy_tales(corpora: Path) -> Iterator[str]:
    """Sections of FairytaleQA's stories (Apache-2.0)."""
    for record in _records(corpora / "instruct/fairytaleqa.jsonl.gz"):
        if "section" in str(record.get("kind", "")):
            text = _clean(str(record["text"]).replace("\n", " "))
            if _is_plain(text) and 200 < len(text) < 1600:
                yield text


def persona_chats(corpora: Path) -> Iterator[list[Turn]]:
    """Pieces of persona-grounded small talk (CC BY 4.0), cut to six turns."""
    for record in _records(corpora / "dialogue/synthetic_persona_chat.jsonl.gz"):
        lines = record["conv"]
        assert isinstance(lines, list)
        said = [_clean(str(line).partition(": ")[2]) for line in lines]
        for start in range(0, len(said) - 3, 6):
            piece = said[start : start + 6]
            piece = piece[: len(piece) // 2 * 2]
            if all(text and len(text) < 160 and _is_plain(text) and "(" not in text for text in piece):
                yield [(("user", "assistant")[index % 2], text) for index, text in enumerate(piece)]


_TALK = ("conversations", "greetings", "emotion", "food", "health", "botprofile")


def mini_dialogues(corpora: Path) -> Iterator[list[Turn]]:
    """Short questions and answers of chatterbot's corpus (BSD-3): the harmless categories."""
    for record in _records(corpora / "dialogue/chatterbot_english.jsonl.gz"):
        turns = record["turns"]
        assert isinstance(turns, list)
        said = [_clean(str(turn)) for turn in turns[: len(turns) // 2 * 2]]
        if record["cat"] in _TALK[:3] and said and all(text and len(text) < 160 and _is_plain(text) for text in said):
            yield [(("user", "assistant")[index % 2], text) for index, text in enumerate(said)]


def shuffled(documents: Iterator[str], rng: random.Random) -> list[str]:
    listed = list(documents)
    rng.shuffle(listed)
    return listed
