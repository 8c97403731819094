"""A run folder goes on with the same run, and with no other."""

from pathlib import Path

import pytest
import torch

from mambino.config import HybridConfig
from mambino.errors import InputError
from mambino.model.hybrid import HybridLM
from mambino.train.same_run import model_sha256, require_same_run

pytestmark = pytest.mark.torch


def test_the_same_run_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    require_same_run(run, {"data": "ab", "rows": 2})
    (run / "latest.pt").write_bytes(b"")
    require_same_run(run, {"rows": 2, "data": "ab"})
    with pytest.raises(InputError, match=r"run: holds a run on other data or with other settings; choose a fresh"):
        require_same_run(run, {"data": "ab", "rows": 4})


@pytest.mark.parametrize("name", ["latest.pt", "latest.json"])
def test_a_saved_run_of_which_nothing_is_known_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("fine")
    require_same_run(tmp_path, {"data": "ab"})
    (tmp_path / "run.sha256").unlink()
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError, match="holds a run"):
        require_same_run(tmp_path, {"data": "ab"})
    assert not (tmp_path / "run.sha256").exists()


def test_a_damaged_word_is_another(tmp_path: Path) -> None:
    (tmp_path / "run.sha256").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="holds a run"):
        require_same_run(tmp_path, {"data": "ab"})


def test_a_model_is_known_by_every_weight_and_its_config(tiny_config: HybridConfig) -> None:
    def model(dtype: torch.dtype = torch.float32) -> HybridLM:
        return HybridLM(tiny_config, generator=torch.Generator().manual_seed(0), dtype=dtype)

    assert model_sha256(model()) == model_sha256(model())
    assert model_sha256(model(torch.bfloat16)) != model_sha256(model())
    changed = model()
    with torch.no_grad():
        changed.layers[2].mixer.o_proj.weight[1, 1] += 1e-3
    assert model_sha256(changed) != model_sha256(model())
