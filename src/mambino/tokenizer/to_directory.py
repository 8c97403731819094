"""GGUF's tokenizer.ggml.* keys to the files of a Hugging Face directory: for folders that are made from a GGUF.

Knows the files' content, not where they go. Start at tokenizer_files; to_gguf.py is the other way.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict

from mambino.tokenizer.files import tokenizer_from_gguf
from mambino.tokenizer.from_gguf import spec_from_gguf
from mambino.tokenizer.spec import BpeSpec, Json
from mambino.tokenizer.tokenizer import Tokenizer

_BYTE_LEVEL: Json = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
# Roles that GGUF names by id and tokenizer_config.json by text; begin and end come from the open tokenizer.
_OTHER_ROLES = {"pad_token": "tokenizer.ggml.padding_token_id", "unk_token": "tokenizer.ggml.unknown_token_id"}


def tokenizer_files(metadata: Mapping[str, object]) -> dict[str, bytes]:
    """tokenizer.json and tokenizer_config.json, of which tokenizer_from_directory makes what tokenizer_from_gguf makes.

    The ids of begin and ends that are no added tokens are config.json's to say, as formats.checkpoint writes it.
    Raises     as tokenizer_from_gguf: FormatError if there is none, Unsupported for kinds that mambino does not read
    """
    tokenizer, spec = tokenizer_from_gguf(metadata), spec_from_gguf(metadata)
    begin = None if tokenizer.bos_token_id is None else spec.tokens[tokenizer.bos_token_id]
    documents = {
        "tokenizer.json": _document(spec, begin if tokenizer.wants_bos else None),
        "tokenizer_config.json": _settings(tokenizer, spec, begin, metadata),
    }
    return {name: json.dumps(content, ensure_ascii=False).encode() for name, content in documents.items()}


def _document(spec: BpeSpec, leading_token: str | None) -> Json:
    """tokenizer.json. All tokens stay in the vocabulary, added ones too: so each keeps its id."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"content" if key == "text" else key: value for key, value in asdict(token).items()}
                         for token in spec.added],
        "normalizer": spec.normalizer,
        "pre_tokenizer": spec.pre_tokenizer,
        "post_processor": None if leading_token is None else _leading(spec, leading_token),
        "decoder": _BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "dropout": None,
            **asdict(spec.options),
            "vocab": dict(zip(spec.tokens, spec.ids, strict=True)),
            "merges": [list(pair) for pair in spec.merges],
        },
    }  # fmt: skip


def _leading(spec: BpeSpec, token: str) -> Json:
    """The post-processor that puts token first, for programs that do not read add_bos_token."""
    special = {"SpecialToken": {"id": token, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [special, first],
        "pair": [special, first, special, second],
        "special_tokens": {token: {"id": token, "ids": [spec.tokens.index(token)], "tokens": [token]}},
    }


def _settings(tokenizer: Tokenizer, spec: BpeSpec, begin: str | None, metadata: Mapping[str, object]) -> Json:
    """tokenizer_config.json: roles by text, and the chat template."""
    end = spec.tokens[tokenizer.eos_token_ids[0]] if tokenizer.eos_token_ids else None
    others = {role: _token_text(spec, metadata.get(key)) for role, key in _OTHER_ROLES.items()}
    settings: Json = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": tokenizer.wants_bos,
        "clean_up_tokenization_spaces": False,
    }
    roles = {"bos_token": begin, "eos_token": end, **others, "chat_template": tokenizer.chat_template}
    return settings | {role: text for role, text in roles.items() if text is not None}


def _token_text(spec: BpeSpec, token_id: object) -> str | None:
    return spec.tokens[token_id] if isinstance(token_id, int) and 0 <= token_id < len(spec.tokens) else None
