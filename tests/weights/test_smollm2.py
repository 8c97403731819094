"""A real chat model, end to end: close to float32, closer than llama.cpp on the same file, and it answers."""

import io
from pathlib import Path

import numpy as np
import pytest

from llama_cpp_peer import LlamaCpp
from mambino import open_model, open_tokenizer
from mambino.chat.session import Chat
from mambino.evals.fidelity import compare_logits
from mambino.generation.params import SamplingParams
from mambino.lm import Int32Array

pytestmark = [pytest.mark.weights, pytest.mark.native]

NUM_TOKENS = 1500


@pytest.fixture(scope="module")
def book(smollm2: Path, shared_dir: Path) -> Int32Array:
    """1,500 tokens of plain book text."""
    zstandard = pytest.importorskip("zstandard", reason="the book corpus is compressed with zstandard")
    packed = (shared_dir / "data/corpora/books/classic_books_tier1.txt.zst").open("rb")
    text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "utf-8").read(40_000)[20_000:]
    return np.array(open_tokenizer(smollm2).encode(text)[:NUM_TOKENS], np.int32)


def test_int8_activations_lose_no_more_than_llama_cpp_does(
    smollm2: Path, book: Int32Array, llama_cpp: LlamaCpp
) -> None:
    exact = open_model(smollm2, activations="float32").score(book)
    ours = compare_logits(exact, open_model(smollm2).score(book), book)
    theirs = compare_logits(exact, llama_cpp.logits(smollm2, book), book)
    print(f"\nours   {ours}\ntheirs {theirs}")
    assert ours.kl <= theirs.kl
    assert ours.agreement >= theirs.agreement - 0.005  # half a percent of 1,500 positions: seven flips of near ties
    assert abs(ours.perplexity_change) <= abs(theirs.perplexity_change) + 0.001


@pytest.mark.torch
def test_the_float_path_agrees_with_torch(smollm2: Path, book: Int32Array) -> None:
    exact = open_model(smollm2, activations="float32").score(book[:200])
    reference = open_model(smollm2, backend="torch").score(book[:200])
    assert np.abs(exact - reference).max() < 1e-3  # logits of order 20 through 60 layers of float32
    assert compare_logits(reference, exact, book[:200]).kl < 1e-8


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the capital of France? Answer in one sentence.", "Paris"),
        ("What is the opposite of hot?", "cold"),
        ("Write one sentence about a cat.", "cat"),
    ],
)
def test_it_answers_sensibly(smollm2: Path, question: str, expected: str) -> None:
    """Greedy; on a bare "What is the capital of France?" this 135M model rambles in French, in llama.cpp too."""
    chat = Chat(
        open_model(smollm2),
        open_tokenizer(smollm2),
        max_tokens=512,
        params=SamplingParams(temperature=0.0, max_tokens=40),
    )
    assert expected in "".join(part.text for part in chat.reply(question))
