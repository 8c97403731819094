"""A person's own texts to something to learn from: chats as they are, notes as text and as answers about them.

A note is cut into sections at its headings. Each section is learnt twice: as text, and as the answer to a question
that names its heading, so that what was read can be asked for. Start at read_notes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mambino.chat.messages import Message
from mambino.chat.prompt import PromptEncoder
from mambino.errors import InputError, TemplateError
from mambino.posttrain.rows import ChatRow, Fault, read_rows, require_sound
from mambino.posttrain.spans import sequences
from mambino.train.data import Document

SUFFIXES = (".md", ".txt", ".jsonl")
MAX_FILES, MAX_NBYTES = 10_000, 64 * 2**20
_SECTION_CHARS = 1500  # about what a model answers in one go
_HEADING = re.compile(r"^(?:#{1,6}\s+(?P<marked>.+?)\s*#*|(?P<underlined>\S.*)\n(?:=+|-{3,}))\s*$", re.MULTILINE)
_QUESTIONS = ("What do my notes say about {}?", "Tell me about {}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A piece of a note under its heading; the file's name where it has none."""

    heading: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """units as sft.arrange takes them. questions: a few that were learnt, to ask before and after."""

    units: tuple[tuple[int, tuple[Document, ...]], ...]
    num_files: int
    questions: tuple[str, ...]


def read_notes(path: Path, prompt: PromptEncoder) -> Notes:
    """A file, or all .md, .txt and .jsonl (chats, see rows.read_rows) files below a folder, in the order of names.

    Raises     InputError for faults in chats, all by line; for text that is not UTF-8; for too much, or nothing
    """
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if _is_note(one))
    nbytes = sum(file.stat().st_size for file in files)
    if not files or len(files) > MAX_FILES or nbytes > MAX_NBYTES:
        raise InputError(
            f"[tune] {path}: expected 1 to {MAX_FILES} files ({', '.join(SUFFIXES)}) of at most {MAX_NBYTES >> 20} MiB "
            f"together, got {len(files)} of {nbytes >> 20} MiB"
        )
    found, questions = list[tuple[Document, ...]](), list[str]()
    for file in files:
        if file.suffix == ".jsonl":
            for row, documents in _chats(file, prompt):
                found.append(documents)
                questions += [message.content for message in row.messages[:2] if message.role == "user"]
        else:
            for section in sections(file.stem, _text(file)):
                questions.append(_QUESTIONS[0].format(section.heading))
                found.append(_documents(section, prompt))
    spread = np.unique(np.linspace(0, len(questions) - 1, min(3, len(questions))).astype(int))
    return Notes(
        units=tuple(enumerate(found, 1)), num_files=len(files), questions=tuple(questions[place] for place in spread)
    )


def sections(name: str, text: str) -> Iterator[Section]:
    """Cut at headings, and long sections between paragraphs; a paragraph is never cut."""
    heading, start = name, 0
    for match in [*_HEADING.finditer(text), None]:
        for part in _parts(text[start : match.start() if match else len(text)]):
            yield Section(heading=heading, text=part)
        if match:
            heading, start = match["marked"] or match["underlined"], match.end()


def _parts(text: str) -> Iterator[str]:
    part = ""
    for paragraph in filter(None, map(str.strip, re.split(r"\n\s*\n", text))):
        if part and len(part) + len(paragraph) > _SECTION_CHARS:
            yield part
            part = ""
        part = f"{part}\n\n{paragraph}" if part else paragraph
    if part:
        yield part


def _documents(section: Section, prompt: PromptEncoder) -> tuple[Document, ...]:
    tokenizer = prompt.tokenizer
    text = f"{section.heading}\n\n{section.text}"
    ids = [*tokenizer.encode(text, add_bos=tokenizer.wants_bos), *tokenizer.eos_token_ids[:1]]
    plain = Document(tokens=np.array(ids, np.int32), counted=np.ones(len(ids), np.bool_))
    asked = [document for question in _QUESTIONS for document in _asked(question, section, prompt)]
    return (plain, *asked)


def _asked(question: str, section: Section, prompt: PromptEncoder) -> Sequence[Document]:
    messages = (
        Message(role="user", content=question.format(section.heading)),
        Message(role="assistant", content=section.text),
    )
    return sequences(ChatRow(line=1, messages=messages, is_trained=(False, True)), prompt)


def _chats(file: Path, prompt: PromptEncoder) -> list[tuple[ChatRow, tuple[Document, ...]]]:
    read = read_rows(file)
    faults, found = list(read.faults), list[tuple[ChatRow, tuple[Document, ...]]]()
    for row in read.rows:
        try:
            found.append((row, tuple(sequences(row, prompt))))
        except (InputError, TemplateError) as error:
            faults.append(Fault(line=row.line, problem=str(error)))
    require_sound(file, faults, len(read.rows))
    return found


def _is_note(path: Path) -> bool:
    return path.suffix in SUFFIXES and path.is_file() and not any(part.startswith(".") for part in path.parts)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"[tune] {file}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
