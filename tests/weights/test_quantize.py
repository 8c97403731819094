"""Files that `mambino quantize` writes open in llama.cpp and mean the same there: every type, and a mix of types."""

from pathlib import Path

import numpy as np
import pytest

import mambino
from llama_cpp_peer import LlamaCpp
from mambino import open_model
from mambino.compress.offered import without_offer
from mambino.evals.fidelity import compare_logits
from mambino.export.quantize import quantize, shapes_of
from mambino.formats.checkpoint import open_checkpoint
from mambino.quant.mixes import plan_for_mix
from mambino.quant.plan import QuantPlan
from mambino.quant.types import F32, TYPES

pytestmark = [pytest.mark.weights, pytest.mark.native]

BUNDLED = Path(mambino.__file__).parent / "bundled/mambino-tiny-q8_0.gguf"

# Ours in float32 against theirs with int8 activations, on random tokens: up to 0.015 measured. A wrong nibble gives 1.
MAX_KL = 0.05


def kl_to_llama_cpp(path: Path, peer: LlamaCpp) -> float:
    model = open_model(path, activations="float32")
    tokens = np.random.default_rng(3).integers(10, model.config.vocab_size, 100).astype(np.int32)
    return compare_logits(model.score(tokens), peer.logits(path, tokens), tokens).kl


@pytest.mark.parametrize("name", [name for name, kind in TYPES.items() if kind.ggml_id is not None])
def test_llama_cpp_reads_every_type_as_we_do(name: str, llama_cpp: LlamaCpp, tmp_path: Path) -> None:
    source = without_offer(open_checkpoint(BUNDLED))  # its smaller sizes have no whole blocks of 256
    types = {own: TYPES[name] if len(shape) == 2 else F32 for own, shape in shapes_of(source).items()}
    quantize(source, tmp_path / "x.gguf", QuantPlan(name=name, types=types))
    assert kl_to_llama_cpp(tmp_path / "x.gguf", llama_cpp) < MAX_KL


def test_llama_cpp_reads_a_mix_for_rows_that_are_no_multiple_of_256(
    smollm2: Path, llama_cpp: LlamaCpp, tmp_path: Path
) -> None:
    source = open_checkpoint(smollm2)
    quantize(source, tmp_path / "x.gguf", plan_for_mix("m5", shapes_of(source)), threads=2)
    assert kl_to_llama_cpp(tmp_path / "x.gguf", llama_cpp) < MAX_KL
