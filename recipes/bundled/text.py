"""The corpora of the recipe as text, and the tokenizer made of them.

make_corpora gives named lists of documents in the model's own layout; train_tokenizer gives tokenizer.json's object.
"""

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from mambino.tokenizer.pre_tokenizers import pre_tokenizer_named
from recipes.bundled import corpora
from recipes.bundled.chats import Turn, dialogue, story_only
from recipes.bundled.stories import story

PRE_TOKENIZER = "pixtral"  # the splitting of Nemotron 3
SPECIALS = (
    "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>",
    "<tool_response>", "</tool_response>",
)  # fmt: skip
BOS, EOS = "<s>", "<|im_end|>"
CHAT_TEMPLATE = """{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
_NAMES = ("Anna", "Tom", "Lily", "Ben", "Mia", "Max", "Rosa", "Finn")


def chat_text(turns: Sequence[Turn]) -> str:
    """Turns as CHAT_TEMPLATE prints them."""
    return "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)


def raw_text(text: str) -> str:
    return f"<s>{text}</s>"


def make_corpora(scale: float, corpora_folder: Path, *, seed: int) -> dict[str, list[str]]:
    """Documents by corpus: stories, chats, requests, books. scale 1 is about 22 M tokens; equal seeds, equal text.

    books is empty where corpora_folder holds none of the files that corpora.py reads.
    """
    rng = random.Random(seed)
    return {
        "stories": [raw_text(story(rng)) for _ in range(round(40_000 * scale))],
        "chats": [chat_text(dialogue(rng)) for _ in range(round(80_000 * scale))],
        "requests": [chat_text(story_only(rng)) for _ in range(round(20_000 * scale))],
        "books": list(_books(corpora_folder, rng)),
    }


def _books(folder: Path, rng: random.Random) -> Iterable[str]:
    yield from map(raw_text, corpora.fables(folder))
    yield from map(raw_text, corpora.fairy_tales(folder))
    yield from map(chat_text, corpora.mini_dialogues(folder))
    for turns in corpora.persona_chats(folder):  # between two people: mambino must not believe it is one of them
        names = rng.sample(_NAMES, 2)
        yield raw_text("\n".join(f"{names[index % 2]}: {text}" for index, (_, text) in enumerate(turns)))


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> str:
    """Byte-level BPE with Nemotron 3's special tokens and splitting, as the text of tokenizer.json."""
    row = pre_tokenizer_named(PRE_TOKENIZER)
    trained = tokenizers.Tokenizer(models.BPE())
    skeleton = json.loads(trained.to_str()) | {"pre_tokenizer": row.pre_tokenizer, "decoder": {"type": "ByteLevel"}}
    trained = tokenizers.Tokenizer.from_str(json.dumps(skeleton | {"decoder": None}))
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIALS), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    trained.train_from_iterator(texts, trainer)
    described = json.loads(trained.to_str())
    described["model"]["ignore_merges"] = row.ignore_merges
    described["decoder"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return json.dumps(described, ensure_ascii=False, indent=1)
