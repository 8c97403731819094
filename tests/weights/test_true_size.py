"""The true shapes, types and sizes of Nemotron 3 Nano 4B with random weights.

It opens fast and agrees with llama.cpp.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from llama_cpp_peer import LlamaCpp
from mambino import open_model, open_tokenizer
from mambino.evals.fidelity import compare_logits

pytestmark = [pytest.mark.weights, pytest.mark.native]

OPEN_SECONDS = 1.0
MIN_CORRELATION = 0.995


def test_model_and_tokenizer_open_within_a_second_when_cached(true_size: Path) -> None:
    open_tokenizer(true_size)  # the first time fills the tokenizer cache
    script = (
        "import time, sys; begin = time.perf_counter(); import mambino; mambino.open_model(sys.argv[1]);"
        "mambino.open_tokenizer(sys.argv[1]); print(time.perf_counter() - begin)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", script, true_size], check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    print(f"\nopened in {times} s")
    assert min(times) < OPEN_SECONDS


def test_logits_agree_with_llama_cpp_and_are_no_further_from_float32(true_size: Path, llama_cpp: LlamaCpp) -> None:
    tokens = np.random.default_rng(0).integers(1000, 131_072, 200).astype(np.int32)
    begin = time.perf_counter()
    exact = open_model(true_size, activations="float32").score(tokens)
    print(f"\nfloat32 evaluation: {time.perf_counter() - begin:.0f} s")
    ours = open_model(true_size).score(tokens)
    theirs = llama_cpp.logits(true_size, tokens)
    between = compare_logits(theirs, ours, tokens)
    our_error, their_error = compare_logits(exact, ours, tokens), compare_logits(exact, theirs, tokens)
    print(f"ours against theirs {between}\nours   {our_error}\ntheirs {their_error}")
    assert between.correlation > MIN_CORRELATION
    assert our_error.kl <= their_error.kl
    assert our_error.correlation >= their_error.correlation
