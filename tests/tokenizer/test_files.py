import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hard_texts import HARD_TEXTS, random_texts
from mambino.errors import FormatError, InputError, MambinoError, Unsupported
from mambino.tokenizer.files import tokenizer_from_directory, tokenizer_from_gguf
from mambino.tokenizer.to_gguf import gguf_metadata
from small_tokenizers import ROWS

Trained = dict[str, dict[str, object]]


def write(directory: Path, name: str, value: object) -> None:
    (directory / name).write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture
def metadata(directory: Path) -> dict[str, object]:
    write(directory, "tokenizer_config.json", {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True})
    return gguf_metadata(directory)


@pytest.mark.parametrize("pre", ROWS)
def test_a_directory_and_its_gguf_keys_give_the_same_tokenizer(pre: str, tmp_path: Path, trained: Trained) -> None:
    write(tmp_path, "tokenizer.json", trained[pre])
    write(tmp_path, "tokenizer_config.json", {"bos_token": "<s>", "eos_token": "</s>", "chat_template": "{{ x }}"})
    first, second = tokenizer_from_directory(tmp_path), tokenizer_from_gguf(gguf_metadata(tmp_path))
    for text in [*HARD_TEXTS, *random_texts(100)]:
        for parse_special in (False, True):
            ids = first.encode(text, parse_special=parse_special)
            assert second.encode(text, parse_special=parse_special) == ids
            for skip_special in (False, True):
                assert second.decode(ids, skip_special=skip_special) == first.decode(ids, skip_special=skip_special)
    assert first.special_tokens == second.special_tokens
    assert (first.bos_token_id, first.eos_token_ids, first.wants_bos) == (1, (2, 4), False)
    assert (second.bos_token_id, second.eos_token_ids, second.wants_bos) == (1, (2, 4), False)
    assert first.chat_template == second.chat_template == "{{ x }}"


def test_generation_config_names_the_ends_first(directory: Path) -> None:
    write(directory, "generation_config.json", {"eos_token_id": [7, 2], "bos_token_id": 9})
    tokenizer = tokenizer_from_directory(directory)
    assert tokenizer.eos_token_ids == (7, 2, 4)
    assert tokenizer.bos_token_id == 9


def test_names_may_be_objects_and_the_settings_win_over_the_map(directory: Path) -> None:
    write(directory, "special_tokens_map.json", {"bos_token": "</s>", "eos_token": {"content": "<|im_start|>"}})
    write(directory, "tokenizer_config.json", {"bos_token": {"content": "<s>"}})
    tokenizer = tokenizer_from_directory(directory)
    assert (tokenizer.bos_token_id, tokenizer.eos_token_ids) == (1, (3, 2, 4))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_post_processor_that_puts_bos_first_says_that_the_model_wants_it(directory: Path, wrapped: bool) -> None:
    root = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}]}
    root["post_processor"] = (
        {"type": "Sequence", "processors": [{"type": "ByteLevel"}, template]} if wrapped else template
    )
    write(directory, "tokenizer.json", root)
    tokenizer = tokenizer_from_directory(directory)
    assert tokenizer.wants_bos
    assert tokenizer.bos_token_id == 1
    assert tokenizer.encode("hi")[0] != 1
    write(directory, "tokenizer_config.json", {"add_bos_token": False})
    assert not tokenizer_from_directory(directory).wants_bos


def test_the_template_file_wins_over_the_settings(directory: Path) -> None:
    assert tokenizer_from_directory(directory).chat_template is None
    write(
        directory,
        "tokenizer_config.json",
        {"chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]},
    )
    assert tokenizer_from_directory(directory).chat_template == "D"
    (directory / "chat_template.jinja").write_text("J", encoding="utf-8")
    assert tokenizer_from_directory(directory).chat_template == "J"


def test_a_missing_tokenizer_names_the_file_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"tokenizer\.json: missing; .*fetch"):
        tokenizer_from_directory(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_no_json_object_is_named(directory: Path, name: str, content: bytes) -> None:
    (directory / name).write_bytes(content)
    with pytest.raises(FormatError, match=name.replace(".", r"\.")):
        tokenizer_from_directory(directory)


DAMAGES: list[tuple[str, Any]] = [
    ("model.vocab", None),
    ("model.vocab", []),
    ("model.vocab", {"a": "b"}),
    ("model.vocab", {"a": -1}),
    ("model.vocab", {"a": 10**12}),
    ("model.vocab", {"a": True}),
    ("model.vocab", {"\ud800": 3}),
    ("model.unk_token", "<nothing>"),
    ("model.unk_token", "\ud800"),
    ("model.merges", None),
    ("model.merges", ["a"]),
    ("model.merges", ["a b c"]),
    ("model.merges", [["a", 1]]),
    ("model.merges", [["zz", "zz"]]),
    ("model.merges", [["a", "\u00e9"]]),
    ("model.type", "Unigram"),
    ("model.dropout", 0.5),
    ("model.unk_token", 3),
    ("model.ignore_merges", "yes"),
    ("decoder", {"type": "Metaspace"}),
    ("decoder", None),
    ("decoder", 3),
    ("pre_tokenizer", {"type": "NoSuchThing"}),
    ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}),
    ("normalizer", 7),
    ("added_tokens", {"id": 1}),
    ("added_tokens", [{"id": 1}]),
    ("added_tokens", [{"id": "1", "content": "<s>"}]),
    ("added_tokens", [{"id": 1, "content": "<s>", "special": "yes"}]),
    ("added_tokens", [{"id": 5, "content": "<s>", "special": True}]),
    ("added_tokens", [{"id": 9000, "content": "<new>", "special": True}]),
    ("added_tokens", [{"id": 9000, "content": "\udc00", "special": True}]),
]


@pytest.mark.parametrize(("where", "value"), DAMAGES)
def test_damaged_parts_of_tokenizer_json_are_errors_that_name_them(directory: Path, where: str, value: object) -> None:
    root = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    *path, last = where.split(".")
    target = root
    for step in path:
        target = target[step]
    target[last] = value
    write(directory, "tokenizer.json", root)
    with pytest.raises(MambinoError, match=r"^\[tokenizer\]"):
        tokenizer_from_directory(directory)


def test_flipped_bytes_are_errors_or_harmless(directory: Path) -> None:
    source = random.Random(3)
    content = (directory / "tokenizer.json").read_bytes()
    refused = 0
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(source.randint(1, 4)):
            damaged[source.randrange(len(damaged))] = source.randrange(256)
        (directory / "tokenizer.json").write_bytes(damaged[: source.choice((None, source.randrange(len(damaged))))])
        try:
            tokenizer_from_directory(directory).encode("hello")
        except MambinoError:
            refused += 1
    assert refused > 50


def test_an_unknown_splitting_is_named_with_the_known_ones(metadata: dict[str, object]) -> None:
    with pytest.raises(Unsupported, match=r"'chatglm' is not known; known are .*llama-bpe.*tekken"):
        tokenizer_from_gguf(metadata | {"tokenizer.ggml.pre": "chatglm"})


@pytest.mark.parametrize(("kind", "name"), [("llama", "SentencePiece"), ("bert", "WordPiece"), ("new", "unknown")])
def test_other_kinds_of_tokenizer_are_named(metadata: dict[str, object], kind: str, name: str) -> None:
    with pytest.raises(Unsupported, match=f"{kind}.*{name}"):
        tokenizer_from_gguf(metadata | {"tokenizer.ggml.model": kind})


def test_a_file_without_a_tokenizer_says_so() -> None:
    with pytest.raises(FormatError, match="carries no tokenizer"):
        tokenizer_from_gguf({"general.architecture": "nemotron_h"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tokens", None),
        ("tokens", "abc"),
        ("tokens", [1, 2]),
        ("tokens", np.arange(4)),
        ("merges", None),
        ("merges", ["ab"]),
        ("merges", ["a b", " b"]),
        ("merges", ["nosuch token"]),
        ("token_type", None),
        ("token_type", [1, 2]),
        ("token_type", np.zeros(702)),
        ("token_type", "x" * 702),
        ("eos_token_id", 702),
        ("bos_token_id", -1),
        ("eot_token_id", "2"),
    ],
)
def test_damaged_gguf_keys_are_errors_that_name_them(metadata: dict[str, object], key: str, value: object) -> None:
    damaged = metadata | {f"tokenizer.ggml.{key}": value}
    with pytest.raises(FormatError, match=r"\[gguf\] tokenizer\.ggml|\[tokenizer\] merge"):
        tokenizer_from_gguf(damaged)


def test_a_token_listed_twice_is_an_error(metadata: dict[str, object]) -> None:
    tokens = metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    with pytest.raises(FormatError, match="twice"):
        tokenizer_from_gguf(metadata | {"tokenizer.ggml.tokens": [*tokens[:-1], tokens[10]]})


def test_rows_beyond_the_tokenizer_are_written_as_unused(directory: Path) -> None:
    metadata = gguf_metadata(directory, vocab_size=710)
    tokenizer = tokenizer_from_gguf(metadata)
    assert tokenizer.vocab_size == 710
    assert tokenizer.encode("[PAD705]", parse_special=True) == tokenizer_from_directory(directory).encode("[PAD705]")
    with pytest.raises(InputError, match="less than"):
        gguf_metadata(directory, vocab_size=701)


def test_a_splitting_without_a_gguf_name_is_not_exported(directory: Path) -> None:
    root = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    root["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\w+|\W+"
    write(directory, "tokenizer.json", root)
    with pytest.raises(Unsupported, match="no name for this way"):
        gguf_metadata(directory)
