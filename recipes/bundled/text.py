"""The tokenizer of the bundled model: Nemotron 3's special tokens and splitting, words from the recipe's text."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

from mambino.tokenizer.pre_tokenizers import pre_tokenizer_named
from mambino.tokenizer.to_directory import tokenizer_files

PRE_TOKENIZER = "pixtral"  # the splitting of Nemotron 3
# Beyond the published ones the tags inside a call: one token each, and a call is a fifth shorter.
SPECIALS = (
    "<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>",
    "<tool_response>", "</tool_response>", "<function=", "</function>", "<parameter=", "</parameter>",
)  # fmt: skip
BOS, EOS = "<s>", "<|im_end|>"
_WORDS = r"\p{L}+|\p{N}|\s+|[^\s\p{L}\p{N}]+"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> str:
    """Byte-level BPE as the text of tokenizer.json.

    Merges are learnt on words alone, without the space or sign before them. So a name has the same tokens in a
    listing, in a sentence and in a call, and a small model can copy it; spaces are tokens of their own. No merge
    crosses a word's edge, so the published splitting gives the same tokens.
    """
    row = pre_tokenizer_named(PRE_TOKENIZER)
    trained = tokenizers.Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(tokenizers.Regex(_WORDS), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(SPECIALS), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    trained.train_from_iterator(texts, trainer)
    described = json.loads(trained.to_str()) | {"pre_tokenizer": row.pre_tokenizer}
    described["model"]["ignore_merges"] = row.ignore_merges
    described["decoder"] = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return json.dumps(described, ensure_ascii=False, indent=1)


def write_tokenizer(folder: Path, tokenizer_json: str, chat_template: str) -> None:
    """As Hugging Face lays a tokenizer out. Mutates folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    (folder / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
    settings = {"bos_token": BOS, "eos_token": EOS, "add_bos_token": False}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def copy_tokenizer(folder: Path, metadata: Mapping[str, object]) -> None:
    """The tokenizer and template of a GGUF, by its metadata. Mutates folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tokenizer_files(metadata).items():
        (folder / name).write_bytes(content)
