import json
import os
from pathlib import Path

import numpy as np
import pytest

from hard_texts import HARD_TEXTS, random_texts
from mambino.tokenizer.cache import cached_spec, content_key
from mambino.tokenizer.files import tokenizer_from_directory
from mambino.tokenizer.from_gguf import gguf_key_parts
from mambino.tokenizer.from_json import spec_from_json
from mambino.tokenizer.spec import BpeSpec

Trained = dict[str, dict[str, object]]


class Maker:
    """Makes the spec, and counts how often."""

    def __init__(self, root: dict[str, object]) -> None:
        self.root = root
        self.count = 0

    def __call__(self) -> BpeSpec:
        self.count += 1
        return spec_from_json(self.root)


@pytest.fixture
def maker(trained: Trained) -> Maker:
    return Maker(trained["qwen2"])


def cache_file(folder: Path) -> Path:
    (path,) = (folder / "tokenizers").iterdir()
    return path


def test_a_second_opening_reads_the_same_spec_without_making_it(tmp_path: Path, maker: Maker) -> None:
    made = cached_spec(tmp_path, "key", maker)
    read = cached_spec(tmp_path, "key", maker)
    assert maker.count == 1
    assert read == made


def test_a_cached_tokenizer_gives_the_same_ids(tmp_path: Path, directory: Path) -> None:
    plain = tokenizer_from_directory(directory)
    cold, warm = (tokenizer_from_directory(directory, tmp_path / "cache") for _ in range(2))
    for text in [*HARD_TEXTS, *random_texts(100)]:
        for parse_special in (False, True):
            ids = plain.encode(text, parse_special=parse_special)
            assert cold.encode(text, parse_special=parse_special) == ids
            assert warm.encode(text, parse_special=parse_special) == ids
    assert warm.special_tokens == plain.special_tokens


def test_damage_anywhere_is_noticed_and_repaired(tmp_path: Path, maker: Maker) -> None:
    made = cached_spec(tmp_path, "key", maker)
    path = cache_file(tmp_path)
    content = path.read_bytes()
    places = [*range(80), *range(80, len(content), 997), len(content) - 1]
    for count, place in enumerate(places, 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert cached_spec(tmp_path, "key", maker) == made
        assert maker.count == count
        assert path.read_bytes() == content


@pytest.mark.parametrize("length", [0, 1, 19, 20, 51, 52, 75, 76, 1000])
def test_a_cut_file_is_noticed_and_repaired(tmp_path: Path, maker: Maker, length: int) -> None:
    made = cached_spec(tmp_path, "key", maker)
    path = cache_file(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    assert cached_spec(tmp_path, "key", maker) == made
    assert cached_spec(tmp_path, "key", maker) == made
    assert maker.count == 2


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path, maker: Maker) -> None:
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        cached_spec(tmp_path / "file" / "below", "key", maker)
    assert maker.count == 2


def test_a_full_disk_is_no_error_and_leaves_nothing(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cached_spec(tmp_path, "key", maker)
    assert list((tmp_path / "tokenizers").iterdir()) == []


def test_a_merge_that_holds_the_separator_is_never_read_back_wrong(tmp_path: Path, maker: Maker) -> None:
    model = maker.root["model"]
    assert isinstance(model, dict)
    maker.root = maker.root | {"model": model | {"merges": [["\0", "a"], *model["merges"]]}}
    first, second = (cached_spec(tmp_path, "key", maker) for _ in range(2))
    assert first == second
    assert maker.count == 2


def test_no_folder_means_no_cache(maker: Maker) -> None:
    cached_spec(None, "key", maker)
    cached_spec(None, "key", maker)
    assert maker.count == 2


def test_keys_change_with_content_and_with_its_division() -> None:
    keys = [content_key(parts) for parts in ([b"ab", b"c"], [b"a", b"bc"], [b"abc"], [b"abd"], [])]
    assert len(set(keys)) == len(keys)


def test_a_changed_tokenizer_is_another_cache_entry(tmp_path: Path, directory: Path) -> None:
    before = tokenizer_from_directory(directory, tmp_path / "cache").encode("the other")
    root = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    root["model"]["merges"] = []
    root["model"]["ignore_merges"] = False
    (directory / "tokenizer.json").write_text(json.dumps(root), encoding="utf-8")
    after = tokenizer_from_directory(directory, tmp_path / "cache").encode("the other")
    assert len(after) == len("the other") > len(before)


def test_gguf_keys_change_with_every_array() -> None:
    base: dict[str, object] = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "tekken",
        "tokenizer.ggml.tokens": ["a", "b"],
        "tokenizer.ggml.merges": ["a b"],
        "tokenizer.ggml.token_type": np.array([1, 1], dtype=np.int32),
    }
    changes: list[dict[str, object]] = [
        {},
        {"tokenizer.ggml.pre": "qwen2"},
        {"tokenizer.ggml.tokens": ["a", "c"]},
        {"tokenizer.ggml.merges": ["b a"]},
        {"tokenizer.ggml.token_type": np.array([1, 3], dtype=np.int32)},
    ]
    keys = {content_key(gguf_key_parts(base | change)) for change in changes}
    assert len(keys) == len(changes)
