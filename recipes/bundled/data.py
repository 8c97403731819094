"""What the bundled model reads, as token ids: generated stories and talk, permissive books, and the assistant's rows.

Made once and kept in a folder. Start at prepare; assistant_documents makes fresh rows for a stage.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mambino.chat.messages import Message, Role
from mambino.chat.prompt import PromptEncoder
from mambino.chat.template import ChatTemplate
from mambino.formats.mapped import replacing
from mambino.posttrain.rows import ChatRow
from mambino.posttrain.spans import sequences
from mambino.tokenizer.files import tokenizer_from_directory
from mambino.train.data import Document, Documents
from recipes.bundled import corpora
from recipes.bundled.assistant.row import Split
from recipes.bundled.assistant.rows import SHARES, rows
from recipes.bundled.assistant.template import TEMPLATE
from recipes.bundled.chats import Turn, dialogue, story_only
from recipes.bundled.copies import Segment, exercise
from recipes.bundled.stories import story
from recipes.bundled.text import BOS, copy_tokenizer, train_tokenizer, write_tokenizer

TEXTS = ("stories", "books", "chats", "requests", "copies")
_ROLES: Mapping[str, Role] = {"system": "system", "user": "user", "assistant": "assistant"}
_NAMES = ("Anna", "Tom", "Lily", "Ben", "Mia", "Max", "Rosa", "Finn")
_SAMPLE, _SAMPLE_ROWS = 6000, 24_000  # what the tokenizer is made from: texts of each kind, and rows at scale 1
_HELD_OUT_SHARE = 0.02
_SHARD = 2000  # rows that one process makes at a time; which rows there are depends on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The tokenizer's folder, its encoder of chats, and the texts as ids: to train on, and held out (other seeds)."""

    tokenizer: Path
    prompt: PromptEncoder
    training: dict[str, Documents]
    held_out: dict[str, Documents]


def prepare(
    folder: Path,
    corpora_folder: Path,
    scale: float,
    *,
    vocab_size: int,
    seed: int,
    tokenizer_of: Mapping[str, object] | None = None,
) -> Prepared:
    """Make, or read back, everything under folder. Deterministic in its arguments and the files of corpora_folder.

    tokenizer_of: the metadata of a GGUF that training goes on from, whose ids stay; else a tokenizer is made.
    Mutates    folder
    """
    tokenizer, last = folder / "tokenizer", folder / "held_out-requests.npz"
    if not last.exists():
        training, held_out = _texts(corpora_folder, scale, seed), _texts(None, _HELD_OUT_SHARE * scale, seed + 1)
        books = training["books"]
        held_out["books"], training["books"] = books[::50], [text for i, text in enumerate(books) if i % 50]
        if tokenizer_of is None:
            write_tokenizer(tokenizer, train_tokenizer(_sample(training, scale, seed), vocab_size), TEMPLATE)
        else:
            copy_tokenizer(tokenizer, tokenizer_of)
        prompt = PromptEncoder(tokenizer_from_directory(tokenizer))
        for name in TEXTS:
            _store(folder / f"{name}.npz", _encoded(training[name], prompt))
            _store(folder / f"held_out-{name}.npz", _encoded(held_out[name], prompt))
    return Prepared(
        tokenizer=tokenizer,
        prompt=PromptEncoder(tokenizer_from_directory(tokenizer)),
        training={name: _restore(folder / f"{name}.npz") for name in TEXTS},
        held_out={name: _restore(folder / f"held_out-{name}.npz") for name in TEXTS},
    )


def assistant_documents(
    path: Path, tokenizer: Path, count: int, *, seed: int, split: Split, shares: Mapping[str, float] = SHARES
) -> Documents:
    """Rows of the assistant as ids, kept in path; made by as many processes as there are cores. Mutates path."""
    if not path.exists():
        sizes = [min(_SHARD, count - start) for start in range(0, count, _SHARD)]
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as workers:
            made = [
                workers.submit(_made, tokenizer, size, seed=seed + 1000 * place, split=split, shares=dict(shares))
                for place, size in enumerate(sizes)
            ]
            _store(path, [document for shard in made for document in shard.result()])
    return _restore(path)


def _made(tokenizer: Path, count: int, *, seed: int, split: Split, shares: Mapping[str, float]) -> list[Document]:
    prompt = PromptEncoder(tokenizer_from_directory(tokenizer))
    drawn = rows(count, seed=seed, split=split, shares=shares)
    return [document for row in drawn for document in _chat(row.messages, row.tools, prompt)]


Text = str | tuple[Message, ...] | list[Segment]  # raw, a chat, or an exercise


def _texts(folder: Path | None, scale: float, seed: int) -> dict[str, list[Text]]:
    rng = random.Random(seed)
    return {
        "stories": [story(rng) for _ in range(1 + round(40_000 * scale))],
        "books": [] if folder is None else list(_books(folder, rng)),
        "chats": [_messages(dialogue(rng)) for _ in range(1 + round(80_000 * scale))],
        "requests": [_messages(story_only(rng)) for _ in range(1 + round(20_000 * scale))],
        "copies": [exercise(rng) for _ in range(1 + round(60_000 * scale))],
    }


def _books(folder: Path, rng: random.Random) -> Iterator[Text]:
    """Two stories, where folder holds none of the files that corpora.py reads."""
    yield from (story(rng), story(rng))
    yield from corpora.fables(folder)
    yield from corpora.fairy_tales(folder)
    yield from map(_messages, corpora.mini_dialogues(folder))
    for turns in corpora.persona_chats(folder):  # between two people: mambino must not believe it is one of them
        names = rng.sample(_NAMES, 2)
        yield "\n".join(f"{names[index % 2]}: {text}" for index, (_, text) in enumerate(turns))


def _messages(turns: Sequence[Turn]) -> tuple[Message, ...]:
    return tuple(Message(role=_ROLES[role], content=text) for role, text in turns)


def _sample(texts: Mapping[str, Sequence[Text]], scale: float, seed: int) -> Iterator[str]:
    """What the tokenizer learns words from, chats with what the template adds to them."""
    template = ChatTemplate(TEMPLATE)
    for name in TEXTS:
        for text in texts[name][:_SAMPLE]:
            if isinstance(text, str):
                yield text
            elif isinstance(text, tuple):  # exercises are of the same words
                yield template.render(text, add_generation_prompt=False)
    for row in rows(round(_SAMPLE_ROWS * scale), seed=seed, split="train"):
        yield template.render(row.messages, tools=row.tools, add_generation_prompt=False)


def _encoded(texts: Iterable[Text], prompt: PromptEncoder) -> list[Document]:
    documents = []
    for text in texts:
        if isinstance(text, str):
            documents.append(_pieces([(f"{BOS}{text}</s>", True)], prompt))
        elif isinstance(text, list):
            documents.append(_pieces([(BOS, False), *text], prompt))
        else:
            documents += _chat(text, (), prompt)
    return documents


def _pieces(segments: Sequence[Segment], prompt: PromptEncoder) -> Document:
    """Encoded as one text; a token counts where its last character does."""
    tokenizer = prompt.tokenizer
    ids = np.array(tokenizer.encode("".join(text for text, _ in segments), parse_special=True), np.int32)
    flags = np.repeat([is_counted for _, is_counted in segments], [len(text.encode()) for text, _ in segments])
    ends = np.cumsum([len(tokenizer.token_bytes(int(token))) for token in ids])
    return Document(tokens=ids, counted=flags[ends - 1])


def _chat(
    messages: tuple[Message, ...], tools: tuple[Mapping[str, object], ...], prompt: PromptEncoder
) -> list[Document]:
    is_trained = tuple(message.role == "assistant" for message in messages)
    return sequences(ChatRow(line=0, messages=messages, tools=tools, is_trained=is_trained), prompt)


def _store(path: Path, documents: Sequence[Document]) -> None:
    """Mutates path, which is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    joined = Documents.joined(documents)
    with replacing(path) as file:
        np.savez(file, tokens=joined.tokens, bounds=joined.bounds, counted=joined.counted)


def _restore(path: Path) -> Documents:
    with np.load(path) as arrays:
        return Documents(tokens=arrays["tokens"], bounds=arrays["bounds"], counted=arrays["counted"])
