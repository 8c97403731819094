"""Importance files: ours and llama.cpp's."""

from pathlib import Path

import numpy as np
import pytest

from mambino.config import HybridConfig
from mambino.errors import FormatError
from mambino.formats.gguf_write import write_gguf
from mambino.formats.imatrix import read_imatrix, write_imatrix
from mambino.formats.safetensors import write_safetensors
from mambino.formats.tensor import Tensor, tensor_from_float32
from mambino.quant.types import F32

OWN = "layers.0.mixer.in_proj.weight"


def test_what_was_written_is_read(tiny_config: HybridConfig, tmp_path: Path, rng: np.random.Generator) -> None:
    importance = {OWN: rng.uniform(0, 3, 37).astype(np.float32), "lm_head.weight": np.zeros(37, np.float32)}
    write_imatrix(tmp_path / "i.safetensors", importance, {"text": "abc"})
    back = read_imatrix(tmp_path / "i.safetensors", tiny_config)
    assert back.keys() == importance.keys()
    np.testing.assert_array_equal(back[OWN], importance[OWN])


def test_llama_cpp_files_are_read_by_gguf_names_as_means(tiny_config: HybridConfig, tmp_path: Path) -> None:
    sums = np.arange(37, dtype=np.float32)[None]
    tensors = {
        "blk.0.ssm_in.weight.in_sum2": sums,
        "blk.0.ssm_in.weight.counts": np.full((1, 1), 4, np.float32),
        "blk.99.ffn_up.weight.in_sum2": sums,
        "blk.99.ffn_up.weight.counts": np.full((1, 1), 4, np.float32),
    }
    write_gguf(
        tmp_path / "i.gguf", {"general.type": "imatrix"}, [tensor_from_float32(*item) for item in tensors.items()]
    )
    back = read_imatrix(tmp_path / "i.gguf", tiny_config)
    assert list(back) == [OWN]
    np.testing.assert_array_equal(back[OWN], sums[0] / 4)


@pytest.mark.parametrize(
    ("own", "values", "message"),
    [
        (OWN, np.ones(36), "expected 37 finite numbers >= 0, got shape \\(36,\\)"),
        (OWN, -np.ones(37), "expected 37 finite numbers"),
        (OWN, np.full(37, np.inf), "expected 37 finite numbers"),
        ("other.weight", np.ones(37), "names no matrix of this model"),
    ],
)
def test_a_file_of_another_model_or_damaged_is_refused(
    own: str, values: np.ndarray, message: str, tiny_config: HybridConfig, tmp_path: Path
) -> None:
    path = tmp_path / "i.safetensors"
    raw = values.astype("<f4").view(np.uint8)
    write_safetensors(path, [Tensor(name=own, type=F32, shape=values.shape, data=raw)])
    with pytest.raises(FormatError, match=message):
        read_imatrix(path, tiny_config)
