"""Real vocabularies: ids equal to an independent BPE (Nemotron) and to llama.cpp (SmolLM2), from whichever file."""

import json
from pathlib import Path

import pytest

from hard_texts import HARD_TEXTS, random_texts
from mambino import open_tokenizer
from mambino.tokenizer.byte_letters import spelled_bytes
from mambino.tokenizer.files import tokenizer_from_directory, tokenizer_from_gguf
from mambino.tokenizer.to_gguf import gguf_metadata
from reference_bpe import ReferenceBpe, pieces

pytestmark = pytest.mark.weights

GOLDEN = Path(__file__).resolve().parents[1] / "golden/smollm2_ids.json"
RESERVED = 1000  # ids of Nemotron's special tokens


def test_smollm2_ids_equal_llama_cpp(smollm2: Path) -> None:
    tokenizer = open_tokenizer(smollm2)
    rows = json.loads(GOLDEN.read_text(encoding="utf-8"))["rows"]
    assert len(rows) > 200
    for row in rows:
        assert tokenizer.encode(row["text"]) == row["plain"], row["text"]
        assert tokenizer.encode(row["text"], parse_special=True) == row["special"], row["text"]


def test_nemotron_ids_equal_an_independent_bpe(nemotron_tokenizer: Path) -> None:
    model = json.loads((nemotron_tokenizer / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    ids = {spelled_bytes(token): index for token, index in model["vocab"].items() if index >= RESERVED}
    merges = [(spelled_bytes(left), spelled_bytes(right)) for left, right in model["merges"]]
    reference = ReferenceBpe(ids, merges, lambda text: pieces("tekken", text), whole=True)
    tokenizer = tokenizer_from_directory(nemotron_tokenizer)
    assert tokenizer.encode("Hello, my name is the Paris\n") == [22177, 1044, 2036, 2564, 1395, 1278, 6993, 1010]
    assert tokenizer.encode("<|im_start|><think></think><|im_end|>", parse_special=True) == [10, 12, 13, 11]
    for text in [*HARD_TEXTS, *random_texts(2000)]:
        assert tokenizer.encode(text) == reference.encode(text), text


def test_nemotron_ids_survive_the_way_through_gguf_and_the_cache(nemotron_tokenizer: Path, tmp_path: Path) -> None:
    tokenizer, metadata = tokenizer_from_directory(nemotron_tokenizer), gguf_metadata(nemotron_tokenizer)
    assert metadata["tokenizer.ggml.pre"] == "tekken"
    for copy in (tokenizer_from_gguf(metadata, tmp_path), tokenizer_from_gguf(metadata, tmp_path)):
        assert copy.special_tokens == tokenizer.special_tokens
        for text in [*HARD_TEXTS, *random_texts(500)]:
            ids = tokenizer.encode(text, parse_special=True)
            assert copy.encode(text, parse_special=True) == ids
            assert copy.decode(ids) == tokenizer.decode(ids) == text
