"""llama.cpp takes our GGUF adapter of a Nemotron-H, Mamba projections too, and means the same by it."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import mambino as package
from llama_cpp_peer import LlamaCpp
from mambino.formats.adapter import Adapter, Factors
from mambino.formats.checkpoint import open_checkpoint
from mambino.formats.gguf_adapter import write_gguf_adapter
from mambino.formats.names import rows
from mambino.load import open_model

pytestmark = [pytest.mark.weights, pytest.mark.torch]

BUNDLED = Path(package.__file__).parent / "bundled/mambino-tiny-q8_0.gguf"
TOKENS = np.array([1, 300, 400, 500, 600, 20, 30, 40, 50], np.int32)
SCRIPT = """
import sys, numpy as np
from llama_cpp import Llama
model = Llama(sys.argv[1], lora_path=sys.argv[2] or None, logits_all=True, verbose=False, n_ctx=64, n_threads=1)
tokens = [int(token) for token in sys.argv[4].split(",")]
model.eval(tokens)
np.save(sys.argv[3], np.array(model.scores[: len(tokens)]))
"""


def test_llama_cpp_applies_our_adapter_as_we_do(llama_cpp: LlamaCpp, tmp_path: Path) -> None:
    config = open_checkpoint(BUNDLED).config
    rng = np.random.default_rng(0)
    factors = {
        row.own: Factors(
            a=(rng.standard_normal((4, row.shape[1])) / np.sqrt(row.shape[1])).astype(np.float32),
            b=(0.3 * rng.standard_normal((row.shape[0], 4))).astype(np.float32),
            scale=1.5,
        )
        for row in rows(config)
        if row.own.endswith("_proj.weight")
    }
    adapter = tmp_path / "adapter.gguf"
    write_gguf_adapter(adapter, Adapter(factors=factors), config)
    ours = open_model(BUNDLED, backend="torch", adapter=adapter).score(TOKENS)
    plain = open_model(BUNDLED, backend="torch").score(TOKENS)
    # llama.cpp quantises activations to 8 bits, and how far away that takes it depends on the weights.
    tolerance = 2 * np.abs(plain - logits(llama_cpp, "", tmp_path)).max()
    assert np.abs(ours - plain).max() > 4 * tolerance
    assert np.abs(ours - logits(llama_cpp, str(adapter), tmp_path)).max() < tolerance


def logits(llama_cpp: LlamaCpp, adapter: str, folder: Path) -> NDArray[np.float32]:
    """llama.cpp's for TOKENS; adapter "" is none. Mutates folder."""
    out = folder / "logits.npy"
    command = [llama_cpp.python, "-c", SCRIPT, BUNDLED, adapter, out, ",".join(map(str, TOKENS.tolist()))]
    subprocess.run(command, check=True, capture_output=True)
    return np.load(out)  # type: ignore[no-any-return]
