"""Small tokenizers trained on the spot, one for each way of splitting, with the second opinion on their ids.

Start at train.
"""

import json
from functools import cache
from typing import Any

from tokenizers import Tokenizer as Library
from tokenizers import decoders, models, pre_tokenizers, trainers

from hard_texts import HARD_TEXTS, random_texts
from mambino.tokenizer.byte_letters import BYTE_TO_LETTER, spelled_bytes
from mambino.tokenizer.pre_tokenizers import PRE_TOKENIZERS
from reference_bpe import ReferenceBpe, pieces

ROWS = ("gpt-2", "smollm", "llama-bpe", "qwen2", "tekken", "gpt-4o")
SPECIALS = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
MARKUP = ("<think>", "</think>")  # not flagged special, as several families ship them


@cache
def _trained() -> str:
    """A tokenizer.json of about 700 tokens. Split as GPT-2 does, so that no row under test has shaped the merges."""
    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    letters = list(BYTE_TO_LETTER.values())
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=list(SPECIALS), initial_alphabet=letters, show_progress=False
    )
    sample = [
        "the cat and the other dog don't do what the world's 123 others do\n" * 3,
        "I SAW THE BBC IN THE USA\n" * 5,
    ]
    library.train_from_iterator([*HARD_TEXTS, *sample, *random_texts(50, seed=1)], trainer)
    library.add_tokens(list(MARKUP))
    return library.to_str()


def train(pre: str) -> dict[str, object]:
    """A tokenizer.json of about 700 tokens that splits as pre does."""
    row = PRE_TOKENIZERS[pre]
    root: dict[str, Any] = json.loads(_trained())
    root["normalizer"], root["pre_tokenizer"] = row.normalizer, row.pre_tokenizer
    root["model"]["ignore_merges"] = row.ignore_merges
    return root


def reference_of(pre: str, root: dict[str, object]) -> ReferenceBpe:
    model = root["model"]
    assert isinstance(model, dict)
    added = {*SPECIALS, *MARKUP}
    ids = {spelled_bytes(token): index for token, index in model["vocab"].items() if token not in added}
    merges = [(spelled_bytes(left), spelled_bytes(right)) for left, right in model["merges"]]
    return ReferenceBpe(ids, merges, lambda text: pieces(pre, text), PRE_TOKENIZERS[pre].ignore_merges)
