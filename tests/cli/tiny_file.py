"""A complete little model on disk: random hybrid weights, a tokenizer, a template, sampling advice."""

import json
from pathlib import Path

from mambino.export.gguf import export_gguf, matrices_as
from mambino.formats.checkpoint import open_checkpoint, write_checkpoint_directory
from mambino.tokenizer.byte_letters import BYTE_TO_LETTER
from tiny_chat import CONTROL, MERGES, TEMPLATE, tiny_chat_config, tiny_tokenizer
from tiny_models import tiny_weights


def write_tiny_directory(folder: Path) -> Path:
    """A Hugging Face folder."""
    config = tiny_chat_config(tiny_tokenizer())
    defaults = {"temperature": 0.6, "top_p": 0.9}
    write_checkpoint_directory(folder, config, tiny_weights(config).values(), generation_defaults=defaults)
    letters = [BYTE_TO_LETTER[byte] for byte in range(256)]
    tokens = [*letters, *(left + right for left, right in MERGES)]
    added = [
        {"id": len(tokens) + index, "content": text, "special": True}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for index, text in enumerate(CONTROL)
    ]
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [list(pair) for pair in MERGES],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    settings = {"eos_token": CONTROL[1], "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def write_tiny_gguf(path: Path) -> Path:
    """The same model as one GGUF file."""
    folder = write_tiny_directory(path.parent / "hf")
    export_gguf(open_checkpoint(folder), path, type_of=matrices_as("F16"), name="tiny", tokenizer_directory=folder)
    return path
