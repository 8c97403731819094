"""Thousands of damaged model files through the engine: each is refused, or runs.

`make sanitize` repeats it under the sanitizers. Damage falls everywhere: header, directory, scales, norms, codes.
"""

from pathlib import Path

import numpy as np
import pytest

from mambino.engine.native import NativeLM
from mambino.errors import MambinoError
from mambino.formats.checkpoint import open_checkpoint
from mambino.formats.gguf_config import write_gguf_metadata
from mambino.formats.gguf_write import write_gguf
from mambino.formats.names import rows
from quantised_models import QUANTISED_TYPES, quantised_model

pytestmark = pytest.mark.native

CASES = [40, pytest.param(500, marks=pytest.mark.slow)]  # of each type and isa
TOKENS = np.array([3, 5, 7, 11, 13, 17], np.int32)  # six: prompt kernels; then one: decode kernels


@pytest.fixture(scope="module", params=QUANTISED_TYPES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    config, tensors = quantised_model(request.param)
    path = tmp_path_factory.mktemp("whole") / "model.gguf"
    write_gguf(
        path,
        write_gguf_metadata(config),
        [row.transform.to_gguf(tensors[row.own]).renamed(row.gguf) for row in rows(config)],
    )
    return path.read_bytes()


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Flipped bits or bytes of 0xFF; half the time in the first 8 KiB, where sizes, offsets and names lie."""
    content = bytearray(whole)
    reach = 8192 if rng.random() < 0.5 else len(content)
    for _ in range(int(rng.integers(1, 30))):
        at = int(rng.integers(4, reach))
        if rng.random() < 0.5:
            content[at] ^= 1 << int(rng.integers(0, 8))
        else:
            content[at : at + 2] = b"\xff\xff"
    return bytes(content[: rng.integers(1000, len(content))]) if rng.random() < 0.1 else bytes(content)


@pytest.mark.parametrize("num_cases", CASES)
@pytest.mark.parametrize("isa", ["reference", "best"])
def test_a_damaged_model_is_refused_or_runs(whole: bytes, isa: str, num_cases: int, tmp_path: Path) -> None:
    rng, ran = np.random.default_rng(5), 0
    path = tmp_path / "damaged.gguf"
    for _ in range(num_cases if isa == "best" else num_cases // 4):
        path.write_bytes(damaged(whole, rng))
        try:
            checkpoint = open_checkpoint(path)
            model = NativeLM(checkpoint.config, checkpoint.tensors("gguf"), threads=1, isa=isa)  # type: ignore[arg-type]
            state = model.new_state(8)
        except MambinoError:
            continue
        model.extend(state, TOKENS % checkpoint.config.vocab_size)
        model.extend(state, TOKENS[:1])
        ran += 1
    assert ran > 0, "every file was refused: the damage never reaches the engine"
