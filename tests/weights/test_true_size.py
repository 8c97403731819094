"""The true shapes, types and sizes of Nemotron 3 Nano 4B with random weights.

It opens without reading the weights, and agrees with llama.cpp.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from llama_cpp_peer import LlamaCpp
from mambino import open_model
from mambino.evals.fidelity import compare_logits

pytestmark = [pytest.mark.weights, pytest.mark.native]

MAX_RESIDENT_NBYTES = 500_000_000  # of a 2.8 GB file: mostly the tokenizer's 131k tokens and 269k merges
MIN_CORRELATION = 0.995


def test_opening_reads_no_weights(true_size: Path) -> None:
    """Speed is measured by benchmarks/open_time.py; here, that it cannot depend on the size of the file."""
    # VmHWM, not getrusage: the latter starts at the size of the process that forked this one
    script = (
        "import re, sys, mambino; mambino.open_model(sys.argv[1]); mambino.open_tokenizer(sys.argv[1]);"
        "print(re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run([sys.executable, "-c", script, true_size], check=True, capture_output=True)
    assert int(done.stdout) * 1024 < MAX_RESIDENT_NBYTES


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
