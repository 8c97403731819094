"""Text files as documents of token ids: .txt (one document), .jsonl (one object with a "text" a line).

Knows a tokenizer, no model. Start at read_corpus.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from mambino.errors import FormatError, InputError
from mambino.tokenizer.tokenizer import Tokenizer
from mambino.train.data import Documents


def read_corpus(paths: Sequence[Path], tokenizer: Tokenizer, *, parse_special: bool = False) -> Documents:
    """All documents of all files, each with its end-of-text token; with the beginning token where the model wants it.

    parse_special: control tokens spelled in the text are real (chats that are already rendered).
    Raises     FormatError that names the file and line; InputError if there is no text at all
    """
    end = list(tokenizer.eos_token_ids[:1])
    documents = [
        tokenizer.encode(text, parse_special=parse_special, add_bos=tokenizer.wants_bos) + end
        for path in paths
        for text in _texts(path)
        if text.strip()
    ]
    if not documents:
        raise InputError(f"[data] no text in {', '.join(map(str, paths)) or 'no files'}; give .txt or .jsonl files")
    return Documents.of(documents)


def split_held_out(documents: Documents, share: float) -> tuple[Documents, Documents]:
    """Training and held-out documents: every 1/share-th is held out.

    Raises     InputError if that leaves one side empty
    """
    every = max(2, round(1 / share))
    sides: tuple[list[list[int]], list[list[int]]] = ([], [])
    for index in range(len(documents)):
        sides[index % every == every - 1].append(documents[index].tokens.tolist())
    if not sides[0] or not sides[1]:
        raise InputError(f"[data] {len(documents)} documents are too few to hold out one in {every}; split your text")
    return Documents.of(sides[0]), Documents.of(sides[1])


def _texts(path: Path) -> Iterator[str]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 at byte {error.start}; convert it first") from error
    if path.suffix not in (".jsonl", ".txt"):
        raise InputError(f"{path}: expected a .txt or .jsonl file")
    if path.suffix == ".txt":
        yield content
        return
    for number, line in enumerate(content.split("\n"), start=1):  # other line ends may stand inside strings
        if line.strip():
            yield _text_of(line, f"{path}:{number}")


def _text_of(line: str, where: str) -> str:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where}: not JSON: {error}") from None
    if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
        raise FormatError(f'{where}: expected an object with a string "text", got {line:.60}')
    return str(entry["text"])
