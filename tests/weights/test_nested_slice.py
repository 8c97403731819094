"""A size cut out of a real nested model opens in llama.cpp and says the same there."""

from pathlib import Path

import numpy as np
import pytest

from llama_cpp_peer import LlamaCpp
from mambino import open_model
from mambino.compress.slicing import slice_checkpoint
from mambino.compress.sub import SubSizes, sub_config
from mambino.export.gguf import export_gguf
from mambino.formats.checkpoint import open_checkpoint
from mambino.hub.local import resolve

pytestmark = [pytest.mark.weights, pytest.mark.native]

# Both quantise activations; logits of a cut model that was never retrained are large.
MIN_CORRELATION = 0.999


def test_a_slice_of_the_bundled_model_agrees_with_llama_cpp(tmp_path: Path, llama_cpp: LlamaCpp) -> None:
    whole = open_checkpoint(resolve("bundled"))
    sub = sub_config(whole.config, SubSizes(hidden_size=192, mamba_heads=2, intermediate_size=256, num_layers=4))
    cut = slice_checkpoint(whole, sub)
    carried = {key: value for key, value in whole.metadata.items() if key.startswith("tokenizer.")}
    export_gguf(
        cut, tmp_path / "cut.gguf", type_of=lambda row: cut.stored[row.own].type, name="cut", more_metadata=carried
    )
    tokens = np.random.default_rng(0).integers(20, whole.config.vocab_size, 60).astype(np.int32)
    ours, theirs = open_model(tmp_path / "cut.gguf").score(tokens), llama_cpp.logits(tmp_path / "cut.gguf", tokens)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > MIN_CORRELATION
