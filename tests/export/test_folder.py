"""A folder that is made from a GGUF has the GGUF's tokenizer, for every way of splitting, and says what it lacks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hard_texts import HARD_TEXTS, random_texts
from mambino.export.folder import write_folder
from mambino.formats.checkpoint import Checkpoint, open_checkpoint
from mambino.tokenizer.files import tokenizer_from_directory, tokenizer_from_gguf
from mambino.tokenizer.to_gguf import gguf_metadata
from small_tokenizers import ROWS, train
from tiny_models import tiny_hybrid_config, tiny_weights


def gguf_source(folder: Path, pre: str, settings: dict[str, object]) -> Checkpoint:
    """An open GGUF, but for the file: its config and its tokenizer's keys."""
    (folder / "tokenizer.json").write_text(json.dumps(train(pre)), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    metadata = gguf_metadata(folder)
    config = replace(
        tiny_hybrid_config(), vocab_size=tokenizer_from_gguf(metadata).vocab_size, bos_token_id=1, eos_token_ids=(2, 4)
    )
    return Checkpoint(
        path=folder / "x.gguf", kind="gguf", config=config, stored={}, metadata=metadata,
        generation_defaults={"temperature": 0.5}, chat_template=None,
    )  # fmt: skip


def written(source: Checkpoint, out: Path, **metadata: object) -> list[str]:
    changed = replace(source, metadata={**source.metadata, **metadata})
    return write_folder(out, source.config, tiny_weights(source.config).values(), changed)


@pytest.mark.parametrize("wants_bos", [False, True])
@pytest.mark.parametrize("pre", ROWS)
def test_the_tokenizer_of_a_gguf_becomes_files_that_say_the_same(pre: str, wants_bos: bool, tmp_path: Path) -> None:
    settings = {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": wants_bos, "chat_template": "{{ x }}"}
    source = gguf_source(tmp_path, pre, settings)
    ours = tokenizer_from_gguf(source.metadata)
    assert len(written(source, tmp_path / "out")) == 1  # that layers are uneven
    theirs = tokenizer_from_directory(tmp_path / "out")
    for text in [*HARD_TEXTS, *random_texts(50), "".join(ours.special_tokens)]:
        for parse_special in (False, True):
            ids = ours.encode(text, parse_special=parse_special)
            assert theirs.encode(text, parse_special=parse_special) == ids
            assert theirs.decode(ids) == ours.decode(ids)
    for name in ("special_tokens", "vocab_size", "bos_token_id", "eos_token_ids", "wants_bos", "chat_template"):
        assert getattr(theirs, name) == getattr(ours, name), name
    assert open_checkpoint(tmp_path / "out").generation_defaults == {"temperature": 0.5}


def test_programs_that_follow_tokenizer_json_put_the_first_token_first(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the outside oracle")
    source = gguf_source(tmp_path, "llama-bpe", {"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": True})
    written(source, tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ours = tokenizer_from_directory(tmp_path / "out")
    assert theirs("the other cat")["input_ids"] == ours.encode("the other cat", add_bos=True)
    assert theirs("the other cat", add_special_tokens=False)["input_ids"] == ours.encode("the other cat")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tokenizer.ggml.model", "llama", "'llama' (SentencePiece): only 'gpt2'"),
        ("tokenizer.ggml.model", "none", "carries no tokenizer"),
        ("tokenizer.ggml.pre", "unheard-of", "'unheard-of' is not known"),
    ],
)
def test_a_tokenizer_that_cannot_be_written_is_named(key: str, value: str, message: str, tmp_path: Path) -> None:
    source = gguf_source(tmp_path, "gpt-2", {"eos_token": "</s>"})
    *_, sentence = written(source, tmp_path / "out", **{key: value})
    assert sentence.startswith(f"{tmp_path / 'out'} has no tokenizer: ")
    assert message in sentence
    assert not (tmp_path / "out/tokenizer.json").exists()
    open_checkpoint(tmp_path / "out")
